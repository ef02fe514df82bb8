// Power cuts while a card is switched. Every prefix of the writes, every subset of them for a card
// that lies about its flushes, and the last one torn at every byte; then the card starts, in the model
// that it was in or in another one.

package slot

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// start plays what the loaders of a model do with a card, and gives the slot that runs. tryboot says
// that the board asked for a trial by reboot(2); it does not outlast a power cut.
func start(t testing.TB, d *memoryDisk, model board.Trial, tryboot bool) Name {
	t.Helper()
	c := openCard(t, d)
	if model == board.Tryboot {
		file := c.config
		if tryboot {
			file = c.tryboot
		}
		// Each model reads the line of its own section; a torn sector may have changed only one.
		places, err := prefixPlaces(file.text)
		if err != nil {
			t.Fatalf("a Pi's boot firmware finds no slot: %v", err)
		}
		return Name(file.text[places[0] : places[0]+1])
	}
	// boot.scr: cleared first, then started.
	state, _ := ParseState(d.bytes[card.StateSector*disk.SectorSize:])
	if state.Try == None {
		return state.Slot
	}
	cleared := StateSector(State{Slot: state.Slot})
	copy(d.bytes[card.StateSector*disk.SectorSize:], cleared[:])
	return state.Try
}

// heal does what init does at each start, and gives what it found promoted.
func heal(t testing.TB, d *memoryDisk, model board.Trial, running Name) Name {
	t.Helper()
	c := openCard(t, d)
	promoted, err := c.Heal(model, running)
	if errors.Is(err, ErrOnTrial) {
		return promoted
	}
	if err != nil {
		t.Fatalf("heal: %v", err)
	}
	return promoted
}

// agree says whether every place of the card names the same slot.
func agree(t testing.TB, d *memoryDisk, promoted Name) error {
	t.Helper()
	p := openCard(t, d).Pointers()
	if p.Damaged != nil || p.UBoot != promoted || p.Try != None || p.Firmware != None && p.Firmware != promoted ||
		p.Tryboot != None && p.Tryboot != promoted.Other() {
		return fmt.Errorf("with slot %s promoted the card says %+v", promoted, p)
	}
	return nil
}

// A change is one of the package's, on a card that is ready for it.
type change struct {
	name    string
	prepare func(*Card) error
	do      func(*Card) error
	may     []Name // start afterwards, if the change was cut
}

func changes() []change {
	nothing := func(*Card) error { return nil }
	return []change{
		{"RequestTrial", nothing, func(c *Card) error { return c.RequestTrial(B) }, []Name{A, B}},
		{"RequestTrial after another tryboot.txt", func(c *Card) error {
			steps, err := c.plan(A, None, c.state)
			return errors.Join(err, c.write("prepare", steps))
		}, func(c *Card) error { return c.RequestTrial(B) }, []Name{A, B}},
		{"ClearTrial", func(c *Card) error { return c.RequestTrial(B) }, func(c *Card) error { return c.ClearTrial() },
			[]Name{A, B}},
		{"Promote", func(c *Card) error { return errors.Join(c.RequestTrial(B), c.ClearTrial()) },
			func(c *Card) error { return c.Promote(B) }, []Name{A, B}},
		{"Promote back", func(c *Card) error { return c.Promote(B) }, func(c *Card) error { return c.Promote(A) },
			[]Name{A, B}},
	}
}

// cards are a Pi's and a BeagleBone's, with the models that they can be in.
func cards(t *testing.T) map[string]func() (*memoryDisk, []board.Trial) {
	return map[string]func() (*memoryDisk, []board.Trial){
		"rpi": func() (*memoryDisk, []board.Trial) {
			return newCard(t, piFiles()...), []board.Trial{board.Tryboot, board.UBootTry}
		},
		"bbb": func() (*memoryDisk, []board.Trial) { return newCard(t), []board.Trial{board.UBootTry} },
	}
}

// with gives the card after some of the writes, the last of them torn behind so many bytes.
func with(before []byte, writes []sectorWrite, subset, torn int) *memoryDisk {
	d := &memoryDisk{bytes: bytes.Clone(before), power: -1}
	for i, w := range writes {
		if subset&(1<<i) == 0 {
			continue
		}
		b := w.bytes
		if i == len(writes)-1 {
			b = b[:min(torn, len(b))]
		}
		copy(d.bytes[w.at:], b)
	}
	return d
}

func TestACutWhileACardIsSwitchedLeavesOldOrNew(t *testing.T) {
	count := 0
	for kind, fresh := range cards(t) {
		for _, c := range changes() {
			d, models := fresh()
			opened := openCard(t, d)
			if err := c.prepare(opened); err != nil {
				t.Fatal(err)
			}
			before := bytes.Clone(d.bytes)
			d.forget()
			if err := c.do(openCard(t, d)); err != nil {
				t.Fatal(err)
			}
			if len(d.writes) == 0 || len(d.writes) > 3 {
				t.Errorf("%s, %s: %d writes", kind, c.name, len(d.writes))
			}
			if d.early > 0 || d.synced < len(d.writes) {
				t.Errorf("%s, %s: of %d writes %d come before the one before is flushed, %d are flushed", kind, c.name,
					len(d.writes), d.early, d.synced)
			}
			for n := range len(d.writes) + 1 {
				for subset := range 1 << n {
					for _, torn := range []int{0, 20, 27, 28, 31, 32, 60, 100, disk.SectorSize} {
						after := with(before, d.writes[:n], subset, torn)
						name := fmt.Sprintf("%s, %s, writes %b of %d, torn at %d", kind, c.name, subset, n, torn)
						startsEverywhere(t, name, after.bytes, models, c.may)
						count++
					}
				}
			}
		}
	}
	t.Logf("FIGURE %d ways to cut a switch of slots", count)
}

// startsEverywhere starts a card in one model and then in each other. After the first start without a
// trial all places agree, and stay so.
func startsEverywhere(t *testing.T, name string, cut []byte, models []board.Trial, may []Name) {
	t.Helper()
	for _, first := range models {
		d := &memoryDisk{bytes: bytes.Clone(cut), power: -1}
		running := start(t, d, first, false)
		if running != may[0] && running != may[1] {
			t.Fatalf("%s: %s starts slot %q", name, first, running)
		}
		promoted := heal(t, d, first, running)
		if running != promoted { // a trial, which is over with the next start
			running = start(t, d, first, false)
			if promoted = heal(t, d, first, running); running != promoted {
				t.Fatalf("%s: %s runs slot %s a second time, %s is promoted", name, first, running, promoted)
			}
		}
		if err := agree(t, d, promoted); err != nil {
			t.Fatalf("%s: started in %s: %v", name, first, err)
		}
		for _, second := range models {
			if got := start(t, d, second, false); got != promoted {
				t.Fatalf("%s: %s started slot %s, then %s starts %s", name, first, promoted, second, got)
			}
			if healed := heal(t, d, second, promoted); healed != promoted {
				t.Fatalf("%s: moved from %s to %s: slot %s is promoted, was %s", name, first, second, healed, promoted)
			}
		}
	}
}

// Cuts within what heals: the next start heals the rest.
func TestACutWhileACardIsHealedIsHealed(t *testing.T) {
	for _, own := range []Name{A, B} {
		for _, other := range []Name{A, B} {
			for _, tryboot := range []Name{A, B} {
				for _, model := range []board.Trial{board.Tryboot, board.UBootTry} {
					d := newCard(t, piFiles()...)
					config, state := own, other
					if model == board.UBootTry {
						config, state = other, own
					}
					c := openCard(t, d)
					steps, err := c.plan(tryboot, config, State{Slot: state})
					if err := errors.Join(err, c.write("prepare", steps)); err != nil {
						t.Fatal(err)
					}
					before := bytes.Clone(d.bytes)
					d.forget()
					heal(t, d, model, own)
					if err := agree(t, d, own); err != nil {
						t.Errorf("%s, %s and %s: %v", model, own, other, err)
					}
					for n := range len(d.writes) + 1 {
						for subset := range 1 << n {
							cut := with(before, d.writes[:n], subset, disk.SectorSize)
							if running := start(t, cut, model, false); running != own {
								t.Fatalf("%s: started slot %s before, %s after a cut in Heal", model, own, running)
							}
							heal(t, cut, model, own)
							if err := agree(t, cut, own); err != nil {
								t.Errorf("%s, %s and %s, cut: %v", model, own, other, err)
							}
						}
					}
				}
			}
		}
	}
}

// A sector that holds something else: U-Boot starts slot a, or the other one if that has no kernel.
// Whatever runs then is promoted, and written into the sector.
func TestADamagedPlaceIsHealedByWhatRuns(t *testing.T) {
	for _, running := range []Name{A, B} {
		d := newCard(t, piFiles()...)
		clear(d.bytes[card.StateSector*disk.SectorSize:][:disk.SectorSize])
		if n := start(t, d, board.UBootTry, false); n != A {
			t.Errorf("U-Boot starts slot %s from a sector of zeros", n)
		}
		if n := heal(t, d, board.UBootTry, running); n != running {
			t.Errorf("slot %s runs, %s is promoted", running, n)
		}
		if err := agree(t, d, running); err != nil {
			t.Error(err)
		}
	}
	// One line of config.txt names the other slot: only a torn sector can do that.
	d := newCard(t, piFiles()...)
	c := openCard(t, d)
	d.bytes[c.config.at+int64(bytes.LastIndex(c.config.text, []byte("os_prefix="))+len("os_prefix="))] = 'b'
	if _, err := openCard(t, d).Promoted(board.Tryboot); !errors.Is(err, ErrConfig) {
		t.Errorf("Promoted = %v, want ErrConfig", err)
	}
	heal(t, d, board.Tryboot, A)
	if err := agree(t, d, A); err != nil {
		t.Error(err)
	}
}

// A trial is one start: whatever ends it, the next one is of the promoted slot.
func TestATrialIsOneStart(t *testing.T) {
	for _, model := range []board.Trial{board.Tryboot, board.UBootTry} {
		d := newCard(t, piFiles()...)
		if err := openCard(t, d).RequestTrial(B); err != nil {
			t.Fatal(err)
		}
		for _, want := range []struct {
			tryboot bool
			runs    Name
		}{{true, B}, {false, A}, {false, A}} {
			running := start(t, d, model, want.tryboot)
			if running != want.runs {
				t.Errorf("%s: starts slot %s, want %s", model, running, want.runs)
			}
			if promoted := heal(t, d, model, running); promoted != A {
				t.Errorf("%s: slot %s is promoted, want a", model, promoted)
			}
		}
		if err := agree(t, d, A); err != nil {
			t.Error(err)
		}
	}
}

// The power may also go while a write is on its way to the card: the error says which, and nothing
// after it is tried.
func TestAWriteThatFailsEndsTheChange(t *testing.T) {
	for power := 1; power <= 3; power++ {
		d := newCard(t, piFiles()...)
		c := openCard(t, d)
		d.power = power
		err := c.Promote(B)
		if d.power = -1; !errors.Is(err, errPower) { // the flush of the last write fails
			t.Errorf("with power for %d writes: %v", power, err)
		}
		if len(d.writes) > power {
			t.Errorf("with power for %d writes: %d", power, len(d.writes))
		}
		startsEverywhere(t, fmt.Sprint(power), d.bytes, []board.Trial{board.Tryboot, board.UBootTry}, []Name{A, B})
	}
}

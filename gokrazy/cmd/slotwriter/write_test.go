package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/slot/slottest"
	"github.com/krazycam/krazycam/gokrazy/slot/whole"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A memoryCard is a card that remembers each sector that was written and each flush.
type memoryCard struct {
	bytes []byte
	log   []recorded
	// failAfter so many sectors, a write gives an error; 0: never.
	failAfter int
	// keeps gives what the card keeps of the sector with this place in the log; nil: what was written.
	keeps func(place int, sector []byte) []byte
	// bad is a byte whose sector cannot be read; 0: none.
	bad int64
}

// A recorded sector, or a flush of a partition if it has no bytes.
type recorded struct {
	at    int64
	bytes []byte
	size  int64 // of the partition that was flushed
}

// A partition flushes what was written to it, and no more.
type partition struct{ section }

func (p partition) Sync() error {
	d := p.Disk.(*memoryCard)
	d.log = append(d.log, recorded{at: p.start, size: p.size})
	return nil
}

var errCard = errors.New("input/output error")

func (d *memoryCard) ReadAt(b []byte, at int64) (int, error) {
	if d.bad > 0 && at <= d.bad && d.bad < at+int64(len(b)) {
		return 0, errCard
	}
	return bytes.NewReader(d.bytes).ReadAt(b, at)
}

func (d *memoryCard) WriteAt(b []byte, at int64) (int, error) {
	if at%disk.SectorSize != 0 || len(b)%disk.SectorSize != 0 {
		return 0, fmt.Errorf("%d bytes at %d are no sectors", len(b), at)
	}
	for i := 0; i < len(b); i += disk.SectorSize {
		if d.failAfter > 0 && len(d.log) >= d.failAfter {
			return i, errCard
		}
		d.log = append(d.log, recorded{at: at + int64(i), bytes: bytes.Clone(b[i : i+disk.SectorSize])})
		kept := b[i : i+disk.SectorSize]
		if d.keeps != nil {
			kept = d.keeps(len(d.log), bytes.Clone(kept))
		}
		copy(d.bytes[at+int64(i):], kept)
	}
	return len(b), nil
}

func (d *memoryCard) Sync() error { return nil } // slot.Card's, which no cut looks at

// A bench is a card with version 1, and who signs updates for it.
type bench struct {
	card  *memoryCard
	board string
	key   minisign.PrivateKey
	now   slottest.Slot // version 1
}

func newBench(t testing.TB, boardName string) *bench {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{board: boardName, key: private, now: slottest.New(t, boardName, 1)}
	b.card = &memoryCard{bytes: slottest.Card(t, b.now, b.now.Manifest(t, 1, public.String()))}
	return b
}

// sign signs in minisign's hashed form.
func sign(key minisign.PrivateKey, raw []byte) []byte {
	r := minisign.NewReader(bytes.NewReader(raw))
	if _, err := io.Copy(io.Discard, r); err != nil {
		panic(err) // of a reader in memory
	}
	return r.Sign(key)
}

// spool signs a version and puts parts of it into a spool: all if no names are given.
func (b *bench) spool(t testing.TB, s slottest.Slot, m update.Manifest, names ...string) *update.Spool {
	t.Helper()
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b.spoolSigned(t, s, m, raw, sign(b.key, raw), names...)
}

func (b *bench) spoolSigned(t testing.TB, s slottest.Slot, m update.Manifest, raw, sig []byte,
	names ...string) *update.Spool {
	t.Helper()
	spool, err := update.MakeSpool(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() })
	if err := spool.Begin(raw, sig, m, map[string]bool{}); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Parts {
		content := s.Files[p.Path()]
		if p.Name == update.RootName {
			content = s.RootImage(t)
		}
		if len(names) > 0 && !slices.Contains(names, p.Name) || spool.Has(p) {
			continue
		}
		if err := spool.Put(p, 0, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	return spool
}

// write runs slotwriter on the card.
func (b *bench) write(in input, running slot.Name) (outcome, error) {
	c := &cardInParts{}
	err := c.open(b.card, slottest.Size, running, func(_ int, p disk.Partition) (disk.SyncDisk, error) {
		return partition{section{b.card, p.Start, p.Size}}, nil
	})
	if err != nil {
		return outcome{}, err
	}
	described, err := board.ByName(b.board)
	if err != nil {
		return outcome{}, err
	}
	w := &writer{card: c, in: in, board: described, running: running, progress: func(string, int64, int64) {}}
	return w.update()
}

// pointers are what the card says.
func (b *bench) pointers(t testing.TB) slot.Pointers {
	t.Helper()
	c, err := slot.Open(b.card, slottest.Size)
	if err != nil {
		t.Fatal(err)
	}
	return c.Pointers()
}

// promote makes what was written the running slot.
func (b *bench) promote(t testing.TB, n slot.Name) {
	t.Helper()
	c, err := slot.Open(b.card, slottest.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Promote(n); err != nil {
		t.Fatal(err)
	}
}

// checkFAT asks fsck.fat about the boot partition.
func (b *bench) checkFAT(t testing.TB) {
	t.Helper()
	need.Tools(t, "fsck.fat")
	table, err := disk.ReadPrimaryTable(b.card, slottest.Size)
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[card.Boot]
	file := filepath.Join(t.TempDir(), "fat")
	if err := os.WriteFile(file, b.card.bytes[p.Start:][:p.Size], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("fsck.fat", "-n", file).CombinedOutput(); err != nil {
		t.Errorf("fsck.fat: %v: %s", err, out)
	}
}

func TestUpdatesGoIntoTheOtherSlotByTurns(t *testing.T) {
	for _, name := range []string{"rpi", "bbb"} {
		b := newBench(t, name)
		running, now := slot.A, b.now
		for number := 2; number <= 5; number++ {
			next := slottest.New(t, name, number)
			m := next.Manifest(t, number, firstKey(t, b))
			done, err := b.write(input{spool: b.spool(t, next, m)}, running)
			if err != nil {
				t.Fatal(err)
			}
			if done.Version != m.Version || done.Index != m.Index || done.BytesWritten < 300_000 {
				t.Errorf("%s: %+v", name, done)
			}
			for n, s := range map[slot.Name]slottest.Slot{running: now, running.Other(): next} {
				if err := slottest.Holds(t, b.card, slottest.Size, n, s); err != nil {
					t.Fatalf("%s: slot %s: %v", name, n, err)
				}
			}
			if p := b.pointers(t); p.UBoot != running || p.Try != slot.None || p.Damaged != nil {
				t.Errorf("%s: a pointer is changed: %+v", name, p)
			}
			b.checkFAT(t)
			running, now = running.Other(), next
			b.promote(t, running)
		}
	}
}

// firstKey is the key that updates are signed with.
func firstKey(t testing.TB, b *bench) string {
	t.Helper()
	public, ok := b.key.Public().(minisign.PublicKey)
	if !ok {
		t.Fatal("no public key")
	}
	return public.String()
}

// mixed has the root of one version and the files of another.
func mixed(root, files slottest.Slot) slottest.Slot {
	root.Files = files.Files
	return root
}

func TestWhatIsTheSameIsCopiedFromTheRunningSlot(t *testing.T) {
	for _, name := range []string{"rpi", "bbb"} {
		for kind, parts := range map[string][]string{
			"the root alone": {update.RootName}, "a kernel alone": {"boot/vmlinuz"}, "nothing": {"x"},
		} {
			b := newBench(t, name)
			other := slottest.New(t, name, 2)
			next := mixed(b.now, b.now)
			switch kind {
			case "the root alone":
				next = mixed(other, b.now)
			case "a kernel alone":
				next.Files = maps.Clone(b.now.Files)
				next.Files["vmlinuz"] = other.Files["vmlinuz"]
			}
			m := next.Manifest(t, 2)
			if _, err := b.write(input{spool: b.spool(t, next, m, parts...)}, slot.A); err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
				continue
			}
			if err := slottest.Holds(t, b.card, slottest.Size, slot.B, next); err != nil {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
	}
}

func TestAnUnsignedRootGetsTheRunningKernel(t *testing.T) {
	b := newBench(t, "rpi")
	next := slottest.New(t, "rpi", 2)
	file := filepath.Join(t.TempDir(), "root")
	if err := os.WriteFile(file, next.RootImage(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there already, and that is no reason to refuse
		in, err := openInput("", file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.close()
		done, err := b.write(in, slot.A)
		if err != nil || !strings.HasPrefix(done.Version, "unsigned-") || done.Index != 1000 {
			t.Fatalf("%+v, %v", done, err)
		}
		if err := slottest.Holds(t, b.card, slottest.Size, slot.B, mixed(next, b.now)); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.write(input{root: empty(t)}, slot.A); err == nil || !strings.Contains(err.Error(), "0 bytes") {
		t.Errorf("an empty root: %v", err)
	}
	// What follows is judged by the same keys and index as before.
	b.promote(t, slot.B)
	third := slottest.New(t, "rpi", 3)
	if _, err := b.write(input{spool: b.spool(t, third, third.Manifest(t, 3))}, slot.B); err != nil {
		t.Error(err)
	}
	in, err := openInput("", file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	if _, err := b.write(in, slot.B); !errors.Is(err, update.ErrAlready) {
		t.Errorf("the root that runs: %v, want ErrAlready", err)
	}
}

// empty is a file without bytes.
func empty(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "empty"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRefusalsChangeNothing(t *testing.T) {
	drop := func(m *update.Manifest, name string) {
		m.Parts = slices.DeleteFunc(m.Parts, func(p update.Part) bool { return p.Name == name })
	}
	type attempt struct {
		b    *bench
		next slottest.Slot
		m    update.Manifest
		keep []string // parts that come
		raw  []byte   // the manifest, if it is not m's
		sig  []byte
	}
	state := func(a *attempt, s slot.State) {
		sector := slot.StateSector(s)
		copy(a.b.card.bytes[card.StateSector*disk.SectorSize:], sector[:])
	}
	for _, c := range []struct {
		name   string
		damage func(*attempt)
		is     error
		want   string
	}{
		{"not signed", func(a *attempt) { a.sig = []byte{} }, update.ErrSignature, "not signed"},
		{"signed by somebody", func(a *attempt) {
			_, other, err := minisign.GenerateKey(rand.NewChaCha8([32]byte{2}))
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := a.m.Encode()
			a.sig = sign(other, raw)
		}, update.ErrSignature, "this board believes"},
		{"changed after it was signed", func(a *attempt) {
			raw, _ := a.m.Encode()
			a.sig, a.raw = sign(a.b.key, raw), bytes.Replace(raw, []byte("v2"), []byte("v9"), 1)
		}, update.ErrSignature, "did not sign these bytes"},
		{"older", func(a *attempt) { a.m.Index = 999 }, update.ErrOlder, "999"},
		{"of another board", func(a *attempt) { a.m.Board = "bbb" }, update.ErrBoard, "this is rpi"},
		{"for a later card", func(a *attempt) { a.m.MinimumLayout = 2 }, update.ErrLayout, "flash the card"},
		{"the version that runs", func(a *attempt) {
			a.m, a.next = a.b.now.Manifest(t, 1, firstKey(t, a.b)), a.b.now
		}, update.ErrAlready, ""},
		{"a part that did not come", func(a *attempt) { a.keep = []string{update.RootName} }, errMissing,
			"neither in the spool nor in slot a"},
		{"no kernel", func(a *attempt) { drop(&a.m, "boot/vmlinuz") }, whole.ErrIncomplete, "vmlinuz is missing"},
		{"no overlays/README", func(a *attempt) { drop(&a.m, "boot/overlays/README") }, whole.ErrIncomplete, "README"},
		{"no device tree", func(a *attempt) { drop(&a.m, "boot/bcm2712-rpi-5-b.dtb") }, whole.ErrIncomplete, "rpi-5"},
		{"a root without init", func(a *attempt) {
			a.next.Root = slices.DeleteFunc(slices.Clone(a.next.Root), func(e disk.Entry) bool {
				return e.Path == "gokrazy/init"
			})
			a.m = a.next.Manifest(t, 2)
		}, whole.ErrIncomplete, "gokrazy/init"},
		{"a root that is no squashfs", func(a *attempt) {
			a.next.Files["root"] = nil
			a.m.Parts[0] = slottest.Part(update.RootName, a.next.Files["vmlinuz"])
			a.m.Parts = slices.Insert(a.m.Parts, 1, slottest.Part("boot/x", a.next.Files["vmlinuz"]))
			a.next.Files["x"] = a.next.Files["vmlinuz"]
			a.keep = append(names(a.m), "boot/x")
			a.keep = slices.DeleteFunc(a.keep, func(n string) bool { return n == update.RootName })
		}, disk.ErrDamaged, "squashfs"},
		{"more than the boot partition holds", func(a *attempt) {
			a.next.Files["big.dtbo"] = make([]byte, 5<<20)
			a.m = a.next.Manifest(t, 2)
		}, disk.ErrFull, "are free"},
		{"a slot that is to be tried", func(a *attempt) {
			state(a, slot.State{Slot: slot.A, Try: slot.B})
		}, errPointers, "slot b is to be tried at the next start"},
		{"a slot that U-Boot starts", func(a *attempt) { state(a, slot.State{Slot: slot.B}) }, errPointers,
			"U-Boot starts slot b"},
		{"a slot that config.txt starts", func(a *attempt) {
			a.b.replaceTop(t, card.ConfigName, slottest.ConfigText(slot.B))
		}, errPointers, "config.txt names slot b"},
		{"a card without tryboot.txt", func(a *attempt) {
			a.b.card.bytes[bytes.Index(a.b.card.bytes, []byte("TRYBOOT TXT"))] = 0xe5
		}, errPointers, "tryboot.txt is missing"},
		{"a config.txt that no single sector switches", func(a *attempt) {
			a.b.card.bytes[bytes.Index(a.b.card.bytes, []byte("CONFIG  TXT"))] = 0xe5
			a.b.replaceTop(t, card.ConfigName, append(slottest.ConfigText(slot.A), "[pi400]\nos_prefix=a/\n"...))
		}, slot.ErrConfig, "could not be switched"},
		{"a root larger than its partition", func(a *attempt) {
			a.next.Root = append(slices.Clone(a.next.Root), disk.Entry{Path: "user/large", Bytes: noise(5<<20, 1)})
			a.m = a.next.Manifest(t, 2)
		}, nil, "its partition has"},
		{"a state sector of something else", func(a *attempt) {
			clear(a.b.card.bytes[card.StateSector*disk.SectorSize:][:disk.SectorSize])
		}, errPointers, "not clear"},
	} {
		b := newBench(t, "rpi")
		a := &attempt{b: b, next: slottest.New(t, "rpi", 2)}
		a.m = a.next.Manifest(t, 2)
		c.damage(a)
		raw, err := a.m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if a.raw != nil {
			raw = a.raw
		}
		if a.sig == nil {
			a.sig = sign(b.key, raw)
		}
		_, err = b.write(input{spool: b.spoolSigned(t, a.next, a.m, raw, a.sig, a.keep...)}, slot.A)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.is, c.want)
		}
		if len(b.card.log) > 0 {
			t.Errorf("%s: %d sectors are written all the same", c.name, len(b.card.log))
		}
	}
}

// replaceTop gives a file beside the slots other bytes.
func (b *bench) replaceTop(t testing.TB, name string, content []byte) {
	t.Helper()
	table, err := disk.ReadPrimaryTable(b.card, slottest.Size)
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[card.Boot]
	boot := section{b.card, p.Start, p.Size}
	fat, err := disk.OpenFATFolders(boot, p.Size)
	if err != nil {
		t.Fatal(err)
	}
	sectors := (len(content) + disk.SectorSize - 1) / disk.SectorSize * disk.SectorSize
	content = append(content, bytes.Repeat([]byte{'\n'}, sectors-len(content))...)
	if err := fat.Replace(sectorWriter{b.card.bytes[p.Start:]}, name, content); err != nil {
		t.Fatal(err)
	}
}

// A sectorWriter changes a card without a note of it.
type sectorWriter struct{ bytes []byte }

func (w sectorWriter) WriteAt(b []byte, at int64) (int, error) { return copy(w.bytes[at:], b), nil }

func names(m update.Manifest) (list []string) {
	for _, p := range m.Parts {
		list = append(list, p.Name)
	}
	return list
}

func TestWithoutAKeyNothingIsTaken(t *testing.T) {
	b := newBench(t, "rpi")
	b.card = &memoryCard{bytes: slottest.Card(t, b.now, b.now.Manifest(t, 1))} // no key in the promoted slot
	next := slottest.New(t, "rpi", 2)
	_, err := b.write(input{spool: b.spool(t, next, next.Manifest(t, 2))}, slot.A)
	if !errors.Is(err, update.ErrNoKey) {
		t.Errorf("%v, want ErrNoKey", err)
	}
}

// What the spool's owner may do between two looks, and what a worn out card does.
func TestAFailureInTheMiddleLeavesTheRunningSlotAlone(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(*bench, *update.Spool, update.Manifest)
		want   string
	}{
		{"a spooled part that is wrong", func(_ *bench, s *update.Spool, m update.Manifest) {
			f, err := s.Open(m.Parts[3])
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
			if err := os.WriteFile(name, make([]byte, m.Parts[3].Size), 0); err != nil {
				t.Fatal(err)
			}
		}, "the manifest says"},
		{"a card that fails in the root", func(b *bench, _ *update.Spool, _ update.Manifest) { b.card.failAfter = 100 },
			"input/output error"},
		{"a card that fails in the folder", func(b *bench, _ *update.Spool, _ update.Manifest) {
			b.card.failAfter = 700
		}, "input/output error"},
		{"a sector of the running root that cannot be read", func(b *bench, _ *update.Spool, m update.Manifest) {
			b.card.bad = 1<<20 + 5<<20 + 60_000
		}, "input/output error"},
		{"a card that keeps a sector of the root otherwise, which fails in silence", func(b *bench, _ *update.Spool,
			_ update.Manifest) {
			b.card.keeps = flipAt(100)
		}, "read back: root: part is damaged"},
		{"a card that keeps a sector of the folder otherwise, which fails in silence", func(b *bench, _ *update.Spool,
			_ update.Manifest) {
			b.card.keeps = flipAt(500)
		}, "read back: boot/"},
		{"a card that keeps the other root in the command line, which fails in silence", func(b *bench, _ *update.Spool,
			_ update.Manifest) {
			b.card.keeps = func(_ int, sector []byte) []byte {
				return bytes.Replace(sector, []byte("/PARTNROFF=2"), []byte("/PARTNROFF=1"), 1)
			}
		}, "names the root of slot a"},
		{"a file of the running slot that has changed on the card", func(b *bench, _ *update.Spool, m update.Manifest) {
			b.card.bytes[1<<20+5<<20+100_000] ^= 1 // of the root, in a program
		}, "read back: root: part is damaged"},
	} {
		b := newBench(t, "rpi")
		next := mixed(b.now, slottest.New(t, "rpi", 2))
		if strings.Contains(c.name, "fails in") {
			next = slottest.New(t, "rpi", 2)
		}
		m := next.Manifest(t, 2)
		var parts []string
		if !strings.Contains(c.name, "fails in") {
			parts = slices.DeleteFunc(names(m), func(n string) bool { return n == update.RootName })
		}
		spool := b.spool(t, next, m, parts...)
		c.damage(b, spool, m)
		if _, err := b.write(input{spool: spool}, slot.A); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		b.card.failAfter, b.card.bad, b.card.keeps = 0, 0, nil
		if strings.Contains(c.name, "has changed on the card") {
			b.card.bytes[1<<20+5<<20+100_000] ^= 1
		}
		if err := slottest.Holds(t, b.card, slottest.Size, slot.A, b.now); err != nil {
			t.Errorf("%s: slot a: %v", c.name, err)
		}
		if err := missing(b.card, slot.B); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// flipAt changes a bit of one sector.
func flipAt(at int) func(int, []byte) []byte {
	return func(place int, sector []byte) []byte {
		if place == at {
			sector[0] ^= 1
		}
		return sector
	}
}

// The last sector that is written makes the folder appear.
func TestAFolderThatDoesNotAppearIsAnError(t *testing.T) {
	b := newBench(t, "rpi")
	next := slottest.New(t, "rpi", 2)
	spool := b.spool(t, next, next.Manifest(t, 2))
	before := bytes.Clone(b.card.bytes)
	if _, err := b.write(input{spool: spool}, slot.A); err != nil {
		t.Fatal(err)
	}
	last := len(b.card.log) - 1 // behind it comes its flush
	at := b.card.log[last-1].at
	b.card = &memoryCard{bytes: before, keeps: func(place int, sector []byte) []byte {
		if place == last {
			return b.card.bytes[at:][:disk.SectorSize]
		}
		return sector
	}}
	if _, err := b.write(input{spool: spool}, slot.A); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want ErrNotExist", err)
	}
	if err := slottest.Holds(t, b.card, slottest.Size, slot.A, b.now); err != nil {
		t.Error(err)
	}
}

// missing says whether a slot has no folder.
func missing(r io.ReaderAt, n slot.Name) error {
	table, err := disk.ReadPrimaryTable(r, slottest.Size)
	if err != nil {
		return err
	}
	p := table.Partitions[card.Boot]
	boot, err := disk.OpenFATFolders(io.NewSectionReader(r, p.Start, p.Size), p.Size)
	if err != nil {
		return err
	}
	if _, err := fs.Stat(boot, n.Folder()); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("slot %s has a folder: %w", n, err)
	}
	return nil
}

// The whole of an update is cut at 50 places, several times each: what was flushed is there, of the
// rest some sectors.
func TestACutLeavesSlotsThatAreWholeOrNotThere(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := newBench(t, "rpi")
	old := slottest.New(t, "rpi", 2)
	if _, err := b.write(input{spool: b.spool(t, old, old.Manifest(t, 2))}, slot.A); err != nil {
		t.Fatal(err)
	}
	b.card.log = nil
	before := bytes.Clone(b.card.bytes)
	next := slottest.New(t, "rpi", 3)
	spool := b.spool(t, next, next.Manifest(t, 3))
	if _, err := b.write(input{spool: spool}, slot.A); err != nil {
		t.Fatal(err)
	}
	log, want, kinds := b.card.log, b.pointers(t), map[string]int{}
	for i := range 50 {
		for again := range 2 {
			cut := cutPlace(log, i, r)
			b.card = &memoryCard{bytes: afterCut(before, log, cut, r)}
			if got := b.pointers(t); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("cut at %d: pointers %+v", cut, got)
			}
			if err := slottest.Holds(t, b.card, slottest.Size, slot.A, b.now); err != nil {
				t.Fatalf("cut at %d: slot a: %v", cut, err)
			}
			switch {
			case slottest.Holds(t, b.card, slottest.Size, slot.B, old) == nil:
				kinds["old"]++
			case slottest.Holds(t, b.card, slottest.Size, slot.B, next) == nil:
				kinds["new"]++
			default:
				if err := missing(b.card, slot.B); err != nil {
					t.Fatalf("cut at %d of %d: half a slot: %v", cut, len(log), err)
				}
				kinds["none"]++
			}
			if again > 0 {
				continue
			}
			if _, err := b.write(input{spool: spool}, slot.A); err != nil {
				t.Fatalf("cut at %d, and again: %v", cut, err)
			}
			if err := slottest.Holds(t, b.card, slottest.Size, slot.B, next); err != nil {
				t.Fatalf("cut at %d, and again: %v", cut, err)
			}
			b.checkFAT(t)
		}
	}
	t.Logf("FIGURE slotwriter cut at 100 of %d sectors and flushes: %v", len(log), kinds)
	if kinds["old"] == 0 || kinds["none"] == 0 || kinds["new"] == 0 {
		t.Errorf("the cuts left %v, want some of each", kinds)
	}
}

// cutPlace is anywhere, or beside a flush: most sectors are data.
func cutPlace(log []recorded, i int, r *rand.Rand) int {
	if i%2 == 0 {
		return r.IntN(len(log) + 1)
	}
	var flushes []int
	for i, w := range log {
		if w.bytes == nil {
			flushes = append(flushes, i)
		}
	}
	return min(max(flushes[r.IntN(len(flushes))]+r.IntN(9)-4, 0), len(log))
}

func afterCut(before []byte, log []recorded, cut int, r *rand.Rand) []byte {
	out := bytes.Clone(before)
	for i, w := range log[:cut] {
		flushed := slices.ContainsFunc(log[i:cut], func(f recorded) bool {
			return f.bytes == nil && f.at <= w.at && w.at < f.at+f.size
		})
		if w.bytes != nil && (flushed || r.IntN(2) == 0) {
			copy(out[w.at:], w.bytes)
		}
	}
	return out
}

package settings

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// in gives a section "stream" with keys.
func in(keys string) string { return `{"stream": {` + keys + `}}` }

// value gives what a slot goes by for a key of section stream.
func value(t *testing.T, s Store, n slot.Name, key string) string {
	t.Helper()
	got, err := s.Load(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range got.Items {
		if i.Name() == "stream."+key {
			return string(i.Value)
		}
	}
	return ""
}

// boot is a start of the board.
func boot(t *testing.T, s Store, running, promoted slot.Name, trial string) Settled {
	t.Helper()
	got, err := s.Settle(Start{Running: running, Promoted: promoted, Trial: trial, Failed: "v2"})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestTheTrialBeginsWithTheOwnersSettings(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	owners := "{\n  \"stream\": {\"fps\": 15, \"newer\": 1}\n}\n"
	write(t, s.path(slot.A, fileName), owners)
	write(t, s.path(slot.A, seedName), `{"format": 1, "sha256": "aa"}`)
	write(t, s.path(slot.B, fileName), in(`"fps": 1`)) // of the version before the last
	write(t, s.path(slot.B, goodName), in(`"fps": 1`))
	expect(t, "back", boot(t, s, slot.B, slot.A, "v2").Back)
	if got := read(t, s.path(slot.B, fileName)); got != owners {
		t.Errorf("the trial has %s, want the owner's text", got)
	}
	mark := read(t, s.path(slot.A, seedName))
	if read(t, s.path(slot.B, seedName)) != mark || read(t, s.path(slot.B, goodName)) != "" {
		t.Error("the trial has another version's seed mark or last good file")
	}
	// What the owner sets during the trial stays over a restart of the trial.
	write(t, s.path(slot.B, fileName), in(`"fps": 20`))
	boot(t, s, slot.B, slot.A, "v2")
	if got := value(t, s, slot.B, "fps"); got != "20" {
		t.Errorf("fps = %s after a restart, want the owner's 20", got)
	}
	// Another trial begins anew.
	boot(t, s, slot.B, slot.A, "v3")
	if got := value(t, s, slot.B, "fps"); got != "15" {
		t.Errorf("fps = %s in the next trial, want the promoted slot's 15", got)
	}
}

// U-Boot takes the other slot where the promoted one cannot be read, once perhaps. That ends no trial and
// begins none.
func TestASlotThatNobodyAskedForChangesNothing(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	write(t, s.path(slot.B, fileName), in(`"fps": 1`))
	write(t, s.path(slot.A, begunName), `{"format": 1, "trial": "v1", "from": "b"}`)
	write(t, s.path(slot.B, begunName), `{"format": 1, "from": "a"}`)
	boot(t, s, slot.B, slot.A, "")
	for _, n := range []slot.Name{slot.A, slot.B} {
		if read(t, s.path(n, begunName)) == "" {
			t.Errorf("the mark in slot %s is gone", n)
		}
	}
	if got := value(t, s, slot.B, "fps"); got != "1" {
		t.Errorf("fps = %s, want the slot's own 1", got)
	}
}

func TestTheTrialOfABoardWithoutSettingsHasNone(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.B, fileName), in(`"fps": 1`))
	boot(t, s, slot.B, slot.A, "v2")
	if got, err := s.Load(slot.B); err != nil || got.From != FromDefaults || got.Unused {
		t.Errorf("Load = %+v, %v, want the defaults", got, err)
	}
}

func TestTheTrialGoesByTheLastGoodFileIfThatIsWhatRan(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	if _, err := s.Load(slot.A); err != nil {
		t.Fatal(err)
	}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`)[:12])
	boot(t, s, slot.B, slot.A, "v2")
	if got := value(t, s, slot.B, "fps"); got != "15" {
		t.Errorf("fps = %s, want 15", got)
	}
}

func TestAFallbackLeavesBehindWhatOnlyTheTrialHad(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15, "mtu": 1500`))
	boot(t, s, slot.B, slot.A, "v2")
	// The owner sets a key of the newer version, changes one and takes one out.
	write(t, s.path(slot.B, fileName), in(`"fps": 20, "codec": "vp9"`))

	got := boot(t, s, slot.A, slot.A, "")
	expect(t, "left behind", got.LeftBehind, "stream.fps", "stream.codec", "stream.mtu")
	if v := value(t, s, slot.A, "fps"); v != "15" {
		t.Errorf("after the way back fps = %s, want the old 15", v)
	}
	expect(t, "status", s.LeftBehind(slot.A), "stream.fps", "stream.codec", "stream.mtu")
	expect(t, "left behind at the next start", boot(t, s, slot.A, slot.A, "").LeftBehind)

	// The next version knows codec no more than this one does.
	expect(t, "back", boot(t, s, slot.B, slot.A, "v3").Back, "stream.fps", "stream.mtu")
	if value(t, s, slot.B, "fps") != "20" || value(t, s, slot.B, "mtu") != "" {
		t.Errorf("the later version has %s", read(t, s.path(slot.B, fileName)))
	}
	if err := s.Promote(slot.B); err != nil {
		t.Fatal(err)
	}
	expect(t, "left behind after promotion", s.LeftBehind(slot.B), "stream.codec")
}

func TestWhatWasLeftBehindComesBackToAVersionThatKnowsIt(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	// A version that failed had left a key that this one knows.
	write(t, s.shared(leftBehindName), `{"format": 1, "version": "v2", "settings": [
		{"section": "stream", "key": "capture-time", "value": true},
		{"section": "wifi", "key": "ssid", "value": "x"}]}`)
	expect(t, "back", boot(t, s, slot.B, slot.A, "v3").Back, "stream.capture-time")
	if got := value(t, s, slot.B, "capture-time"); got != "true" {
		t.Errorf("capture-time = %q", got)
	}
	// That trial fails, too: nothing is lost, and the owner's last word counts.
	expect(t, "left behind", boot(t, s, slot.A, slot.A, "").LeftBehind, "stream.capture-time")
	expect(t, "status", s.LeftBehind(slot.A), "wifi.ssid", "stream.capture-time")
	boot(t, s, slot.B, slot.A, "v4")
	write(t, s.path(slot.B, fileName), in(`"fps": 15`)) // the owner takes it out again
	expect(t, "left behind", boot(t, s, slot.A, slot.A, "").LeftBehind)
	expect(t, "status", s.LeftBehind(slot.A), "wifi.ssid")
}

func TestTheOwnersLaterWordBeatsWhatWasLeftBehind(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	boot(t, s, slot.B, slot.A, "v2")
	write(t, s.path(slot.B, fileName), in(`"fps": 20`))
	boot(t, s, slot.A, slot.A, "")
	write(t, s.path(slot.A, fileName), in(`"fps": 10`))
	expect(t, "status", s.LeftBehind(slot.A))
	expect(t, "back", boot(t, s, slot.B, slot.A, "v3").Back)
	if got := value(t, s, slot.B, "fps"); got != "10" {
		t.Errorf("fps = %s, want what the owner set last", got)
	}
}

func TestWhatWasLeftBehindMustGoWithTheRest(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"rtp": "10.0.0.1:5004", "rtcp": "10.0.0.1:5005"`))
	write(t, s.shared(leftBehindName),
		`{"format": 1, "settings": [{"section": "stream", "key": "encryption", "value": "required"}]}`)
	expect(t, "back", boot(t, s, slot.B, slot.A, "v3").Back)
	if got := value(t, s, slot.B, "rtp"); got == "" {
		t.Error("the trial streams nothing")
	}
	expect(t, "status", s.LeftBehind(slot.A), "stream.encryption")
}

// A version with another format of everything on /perm ran, and the board went back.
func TestANewerFormatNeverStopsTheOlderVersion(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	boot(t, s, slot.B, slot.A, "v2")
	newer := `{"format": 99, "settings": {"stream.fps": "20"}, "trial": ["v2"]}`
	for _, name := range []string{fileName, goodName, seedName, begunName} {
		write(t, s.path(slot.B, name), newer)
	}
	write(t, s.shared(leftBehindName), newer)
	write(t, s.shared(resetName), newer)
	got, err := s.Settle(Start{Running: slot.A, Promoted: slot.A, Failed: "v2"})
	if err == nil || !strings.Contains(err.Error(), "format 99, this version knows 1") || got.LeftBehind != nil {
		t.Errorf("Settle = %+v, %v", got, err)
	}
	if v := value(t, s, slot.A, "fps"); v != "15" {
		t.Errorf("fps = %s, want 15", v)
	}
	if read(t, s.shared(leftBehindName)) != newer || read(t, s.shared(resetName)) != newer {
		t.Error("the newer version's files are written over")
	}
	if got, err := s.Settle(Start{Running: slot.A, Promoted: slot.A}); err != nil {
		t.Errorf("the next start: %+v, %v", got, err)
	}
	expect(t, "back", boot(t, s, slot.B, slot.A, "v3").Back)
	if v := value(t, s, slot.B, "fps"); v != "15" {
		t.Errorf("in the next trial fps = %s, want 15", v)
	}
}

func TestALoaderThatTakesTheOtherSlotByItselfKeepsItsSettings(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	write(t, s.path(slot.B, fileName), in(`"fps": 20`))
	boot(t, s, slot.B, slot.A, "") // nobody asked for a trial
	boot(t, s, slot.B, slot.None, "v2")
	if got := value(t, s, slot.B, "fps"); got != "20" {
		t.Errorf("fps = %s, want 20", got)
	}
}

func TestASlotPromotedByHandTakesOverTheSettings(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	write(t, s.path(slot.B, fileName), in(`"fps": 20`)) // of its trial, months ago
	if err := s.HandOver(slot.A, slot.B); err != nil {
		t.Fatal(err)
	}
	// The power goes before the switch: nothing has happened.
	expect(t, "left behind", boot(t, s, slot.A, slot.A, "").LeftBehind)
	if err := s.HandOver(slot.A, slot.B); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		boot(t, s, slot.B, slot.B, "")
		if got := value(t, s, slot.B, "fps"); got != "15" {
			t.Errorf("fps = %s, want 15", got)
		}
	}
}

func TestLoad(t *testing.T) {
	good := in(`"fps": 15`)
	for _, c := range []struct {
		name, file, lastGood string
		from, fps, problem   string
	}{
		{"nothing is configured", "", "", FromDefaults, "", ""},
		{"a good file", good, "", FromFile, "15", ""},
		{"a key of another version", in(`"fps": 15, "codec": 1`), in(`"fps": 5`), FromFile, "15",
			"krazycam.json:1: stream.codec: unknown key"},
		{"a torn file", good[:9], in(`"fps": 5`), FromLastGood, "5",
			"krazycam.json:1: stream: not JSON: the file ends too early"},
		{"zeros", "\x00\x00\x00", in(`"fps": 5`), FromLastGood, "5", "krazycam.json:1: the file is filled with zero"},
		{"a file that is gone", "", in(`"fps": 5`), FromLastGood, "5", "krazycam.json: is gone"},
		{"a huge file", strings.Repeat(" ", config.MaxBytes+1), in(`"fps": 5`), FromLastGood, "5",
			"krazycam.json: open "},
		{"both torn", good[:9], good[:8], FromDefaults, "", "krazycam.json:1: stream: not JSON"},
		{"a limit on receivers that is no list", `{"gateway": {"allowed-receivers": "a"}, "stream": {"fps": 15}}`, "",
			FromDefaults, "", "krazycam.json:1: gateway.allowed-receivers: must be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Store{Dir: t.TempDir()}
			if c.file != "" {
				write(t, s.path(slot.A, fileName), c.file)
			}
			if c.lastGood != "" {
				write(t, s.path(slot.A, goodName), c.lastGood)
			}
			got, err := s.Load(slot.A)
			if err != nil || got.From != c.from || value(t, s, slot.A, "fps") != c.fps {
				t.Errorf("Load = %+v, %v", got, err)
			}
			if (c.problem == "") != (len(got.Problems) == 0) {
				t.Fatalf("problems: %v", got.Problems)
			}
			if len(got.Problems) > 0 && !strings.Contains(got.Problems[0].Error(), c.problem) {
				t.Errorf("problem: %v, want %s", got.Problems[0], c.problem)
			}
			if want := c.problem != "" && c.from != FromFile; got.Unused != want {
				t.Errorf("unused = %v", got.Unused)
			}
		})
	}
}

func TestDamageIsReplacedOnceItIsWritten(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	for _, path := range []string{s.path(slot.B, begunName), s.shared(leftBehindName)} {
		write(t, path, "\x00\xff garbage")
	}
	write(t, s.path(slot.B, fileName)+"/folder/in the way", "")
	boot(t, s, slot.B, slot.A, "v2")
	if got := value(t, s, slot.B, "fps"); got != "15" {
		t.Errorf("fps = %s", got)
	}
	boot(t, s, slot.A, slot.A, "")
}

func TestMigrateTakesTheOneFileOfAnOlderCard(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.shared(oldFile), in(`"fps": 15`))
	write(t, s.shared(oldMark), "abcd\n")
	for range 2 {
		if err := s.Migrate(slot.B); err != nil {
			t.Fatal(err)
		}
	}
	if got := value(t, s, slot.B, "fps"); got != "15" {
		t.Errorf("fps = %s", got)
	}
	var mark seedMark
	if _, err := readState(s.path(slot.B, seedName), &mark); err != nil || mark.SHA256 != "abcd" {
		t.Errorf("seed mark = %+v, %v", mark, err)
	}
	if read(t, s.shared(oldFile))+read(t, s.shared(oldMark)) != "" {
		t.Error("the old files are still there")
	}
}

func TestSweepRemovesWhatCutsHaveLeft(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	write(t, s.path(slot.A, fileName), in(`"fps": 15`))
	write(t, s.path(slot.A, ".krazycam.json-123"), "half")
	write(t, s.shared(".clock-9"), "half")
	write(t, s.shared(".keep"), "")
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(s.path(slot.A, ""))
	if len(entries) != 1 || read(t, s.shared(".clock-9")) != "" {
		t.Errorf("left: %v", entries)
	}
	if _, err := os.Stat(s.shared(".keep")); err != nil {
		t.Error(err)
	}
}

// Whatever another version left on /perm, the running one goes by its own file.
func FuzzSettle(f *testing.F) {
	f.Add([]byte(`{"format": 1, "trial": "v2", "applied": ["a"]}`), []byte(in(`"fps": 20, "codec": {}`)),
		[]byte(`{"format": 1, "settings": [{"section": "stream", "key": "mtu", "value": 1500, "base": null}]}`))
	f.Add([]byte(`{"format": 2}`), []byte("{"), []byte(`{"format": 1, "settings": [{}, {"value": 1}]}`))
	f.Fuzz(func(t *testing.T, mark, file, left []byte) {
		s := Store{Dir: t.TempDir()}
		write(t, s.path(slot.A, fileName), in(`"fps": 15`))
		write(t, s.path(slot.B, begunName), string(mark))
		write(t, s.path(slot.B, fileName), string(file))
		write(t, s.shared(leftBehindName), string(left))
		s.Settle(Start{Running: slot.A, Promoted: slot.A, Failed: "v2"})
		s.LeftBehind(slot.A)
		if got := value(t, s, slot.A, "fps"); got != "15" {
			t.Fatalf("fps = %s, want 15", got)
		}
		if _, err := os.Stat(s.path(slot.B, begunName)); err == nil {
			t.Fatal("the trial's mark stays")
		}
		back, err := s.beginTrial(slot.B, slot.A, "v3")
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, s, slot.B, "fps"); got != "15" && !slices.Contains(back, "stream.fps") &&
			!slices.Contains(back, "stream") {
			t.Fatalf("in the trial fps = %s, back %q", got, back)
		}
	})
}

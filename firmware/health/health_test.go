package health

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/krazycam/krazycam/firmware/openfile"
)

func TestReadGivesWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "health.json")
	want := Report{
		Rung: Validated, UptimeS: 81.25, Pictures: 1900, Frames: 1800, Packets: 5400, StalledS: 0.5,
		Camera: "Ünï Cam /dev/video0", Gateway: "streaming",
	}
	for range 2 { // the second replaces the first
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil || got != want {
		t.Errorf("Read = %+v, %v, want %+v", got, err, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("mode = %v, %v, want one that everybody can read", info.Mode(), err)
	}
}

func TestMissingReportIsToldFromABrokenOne(t *testing.T) {
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read = %v, want %v", err, fs.ErrNotExist)
	}
}

func TestReadRefusesWhatIsNoReport(t *testing.T) {
	for name, content := range map[string]string{
		"nothing":            "",
		"half of one":        `{"rung":"sent","upt`,
		"another rung":       `{"rung":"promoted"}`,
		"no rung":            `{"uptime_s":3}`,
		"a time before 0":    `{"rung":"sent","uptime_s":-1}`,
		"a stall before 0":   `{"rung":"sent","stalled_s":-1}`,
		"a counter before 0": `{"rung":"sent","pictures":-1}`,
		"words for a number": `{"rung":"sent","packets":"many"}`,
	} {
		path := filepath.Join(t.TempDir(), "health.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Read(path); err == nil || r != (Report{}) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Read = %+v, %v, want an error that names the file", name, r, err)
		}
	}
}

func TestReadRefusesWhatIsLongOrNoFile(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, []byte(`{"rung":"sent","x":"`+strings.Repeat("x", maxBytes)+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(long); !errors.Is(err, openfile.ErrTooLong) {
		t.Errorf("a long file: %v, want %v", err, openfile.ErrTooLong)
	}
	if _, err := Read(dir); !errors.Is(err, openfile.ErrKind) {
		t.Errorf("a folder: %v, want %v", err, openfile.ErrKind)
	}
}

func TestWordsAreShortAndPlain(t *testing.T) {
	long := strings.Repeat("ü", maxWords)
	r, err := parse([]byte(`{"rung":"none","camera":"\u001b[2Ja\nb\u202e","gateway":"` + long + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Camera != "[2Jab" {
		t.Errorf("camera = %q, want it without control characters", r.Camera)
	}
	if r.Gateway != strings.Repeat("ü", maxWords/2) {
		t.Errorf("gateway has %d bytes, want whole characters up to %d", len(r.Gateway), maxWords)
	}
}

func TestEachRungReachesThoseBelowIt(t *testing.T) {
	for i, r := range Rungs() {
		for j, want := range Rungs() {
			if got := r.Reaches(want); got != (i >= j) {
				t.Errorf("%s reaches %s = %t", r, want, got)
			}
		}
		if got, err := ParseRung(string(r)); got != r || err != nil {
			t.Errorf("ParseRung(%q) = %v, %v", r, got, err)
		}
		if Rung("else").Reaches(r) {
			t.Errorf("what is no rung reaches %s", r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"rung":"sent","uptime_s":3.5,"pictures":1,"frames":2,"packets":3,"camera":"x","gateway":"y"}`))
	f.Add([]byte(`{"rung":"none","camera":"\u001b[2J` + "\xff" + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		if err != nil {
			return
		}
		for _, words := range []string{r.Camera, r.Gateway} {
			if len(words) > maxWords || !utf8.ValidString(words) || strings.ContainsAny(words, "\n\r\x1b\x00") {
				t.Errorf("words = %q", words)
			}
		}
		path := filepath.Join(t.TempDir(), "health.json")
		if err := Write(path, r); err != nil {
			t.Fatal(err)
		}
		if again, err := Read(path); err != nil || again != r {
			t.Errorf("written and read again: %+v, %v, want %+v", again, err, r)
		}
	})
}

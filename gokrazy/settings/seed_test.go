package settings

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// placeholder is what the image holds: 16 KiB of spaces, with s written over its beginning.
func placeholder(s string) string { return s + strings.Repeat(" ", 16<<10-len(s)) }

func TestTakeSeed(t *testing.T) {
	const a, b, unknown = `{"stream":{"fps":30}}`, `{"stream":{"fps":15}}`, `{"stream":{"fps":15,"codec":"vp9"}}`
	for _, c := range []struct {
		name  string
		seeds []string // one boot each; "-" is no file
		want  string   // outcome of the last boot
		file  string   // afterwards, "" is no file
	}{
		{"a placeholder nobody wrote to is none", []string{placeholder("")}, SeedNone, ""},
		{"a missing file is none", []string{"-"}, SeedNone, ""},
		{"an empty file is none", []string{""}, SeedNone, ""},
		{"zeros are none", []string{strings.Repeat("\x00", 512)}, SeedNone, ""},
		{"a seed is taken without its padding", []string{placeholder(a)}, SeedTaken, a + "\n"},
		{"the same seed is taken once", []string{a, a}, SeedUnchanged, a + "\n"},
		{"other padding is the same seed", []string{placeholder(a), a + "\r\n"}, SeedUnchanged, a + "\n"},
		{"another seed replaces it", []string{a, b}, SeedTaken, b + "\n"},
		{"a seed that comes back is taken again", []string{a, b, a}, SeedTaken, a + "\n"},
		{"a blank after an update leaves the configuration", []string{a, placeholder("")}, SeedNone, a + "\n"},
		{"a broken seed is taken where nothing works: its reader says what is wrong", []string{"{"}, SeedTaken,
			"{\n"},
		{"and once only", []string{"{", "{"}, SeedUnchanged, "{\n"},
		{"a broken seed does not replace a configuration", []string{a, "{"}, SeedRefused, a + "\n"},
		{"nor does one with a key of another version", []string{a, unknown}, SeedRefused, a + "\n"},
		{"which is better than nothing, though", []string{unknown}, SeedTaken, unknown + "\n"},
		{"a seed that is mended replaces a broken one", []string{"{", a}, SeedTaken, a + "\n"},
		{"a broken seed replaces a broken one", []string{"{", "["}, SeedTaken, "[\n"},
		{"the longest seed is taken", []string{strings.Repeat("x", maxSeedBytes)}, SeedTaken,
			strings.Repeat("x", maxSeedBytes) + "\n"},
		{"a longer one is not", []string{a, strings.Repeat("x", maxSeedBytes+1)}, SeedFailed, a + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			boot := t.TempDir()
			s := Store{Dir: t.TempDir()}
			var got string
			for _, seed := range c.seeds {
				os.Remove(filepath.Join(boot, fileName))
				if seed != "-" {
					write(t, filepath.Join(boot, fileName), seed)
				}
				got, _ = s.TakeSeed(boot, slot.B)
			}
			if got != c.want {
				t.Errorf("TakeSeed = %s, want %s", got, c.want)
			}
			if file := read(t, s.path(slot.B, fileName)); file != c.file {
				t.Errorf("configuration has %d bytes, want %d", len(file), len(c.file))
			}
		})
	}
}

func TestTakeSeedKeepsWhatTheOwnerChangedLater(t *testing.T) {
	boot := t.TempDir()
	s := Store{Dir: t.TempDir()}
	write(t, filepath.Join(boot, fileName), "{}")
	const changed = `{"stream": {"fps": 12}}`
	for range 2 {
		if _, err := s.TakeSeed(boot, slot.A); err != nil {
			t.Fatal(err)
		}
		write(t, s.path(slot.A, fileName), changed)
	}
	if got := read(t, s.path(slot.A, fileName)); got != changed {
		t.Errorf("configuration = %q, want the owner's change", got)
	}
}

func TestTakeSeedReplacesATornConfiguration(t *testing.T) {
	boot := t.TempDir()
	s := Store{Dir: t.TempDir()}
	const seed = `{"stream":{"fps":30}}`
	write(t, filepath.Join(boot, fileName), seed)
	if _, err := s.TakeSeed(boot, slot.A); err != nil {
		t.Fatal(err)
	}
	write(t, s.path(slot.A, fileName), `{"stream":{`)
	if got, err := s.TakeSeed(boot, slot.A); got != SeedTaken || read(t, s.path(slot.A, fileName)) != seed+"\n" {
		t.Errorf("TakeSeed = %s, %v, want the seed again", got, err)
	}
	// With a last good one there is something newer than the seed.
	if _, err := s.Load(slot.A); err != nil {
		t.Fatal(err)
	}
	write(t, s.path(slot.A, fileName), `{"stream":{`)
	if got, err := s.TakeSeed(boot, slot.A); got != SeedUnchanged {
		t.Errorf("TakeSeed with a last good configuration = %s, %v", got, err)
	}
}

func TestSettingsAreRootsAlone(t *testing.T) {
	boot := t.TempDir()
	s := Store{Dir: t.TempDir()}
	write(t, filepath.Join(boot, fileName), "{}")
	if _, err := s.TakeSeed(boot, slot.A); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(slot.A); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, fileName: 0o600, goodName: 0o600, seedName: 0o600} {
		if info, err := os.Stat(s.path(slot.A, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: mode %v, %v, want %v: it holds the gateway's key", name, info.Mode(), err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, "*", ".*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestTakeSeedIsTriedAgainAfterAWriteThatFailed(t *testing.T) {
	boot := t.TempDir()
	write(t, filepath.Join(boot, fileName), "{}")
	s := Store{Dir: filepath.Join(boot, fileName)} // below a file
	if got, err := s.TakeSeed(boot, slot.A); got != SeedFailed || err == nil {
		t.Errorf("TakeSeed = %s, %v, want %s and why", got, err, SeedFailed)
	}
	s.Dir = t.TempDir()
	if got, err := s.TakeSeed(boot, slot.A); got != SeedTaken || err != nil {
		t.Errorf("TakeSeed = %s, %v, want %s", got, err, SeedTaken)
	}
}

func TestResetRestoresTheFactoryConfigurationOncePerFile(t *testing.T) {
	boot := t.TempDir()
	s := Store{Dir: t.TempDir()}
	const seed = `{"stream":{"fps":30}}`
	write(t, filepath.Join(boot, fileName), seed)
	boots := func() (bool, string) {
		t.Helper()
		done, err := s.Reset(boot, slot.A)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeSeed(boot, slot.A); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(slot.A); err != nil {
			t.Fatal(err)
		}
		return done, read(t, s.path(slot.A, fileName))
	}
	const owners = `{"stream":{"fps":5}}`
	change := func() {
		write(t, s.path(slot.A, fileName), owners)
		write(t, s.path(slot.B, fileName), owners)
		write(t, s.shared(leftBehindName), `{"format":1}`)
	}
	boots()
	change()
	if done, file := boots(); done || file != owners {
		t.Errorf("without a reset file: %v, %s", done, file)
	}
	reset := filepath.Join(boot, card.ResetName)
	for i, content := range []string{"", "", "now"} { // the second is written at another time
		write(t, reset, content)
		at := time.Date(2026, 6, 1, 12, 0, 2*i, 0, time.UTC)
		if err := os.Chtimes(reset, at, at); err != nil {
			t.Fatal(err)
		}
		change()
		if done, file := boots(); !done || file != seed+"\n" {
			t.Errorf("reset %d: %v, %s, want the seed", i, done, file)
		}
		if read(t, s.path(slot.B, fileName))+read(t, s.shared(leftBehindName)) != "" {
			t.Error("the other slot's settings, or what was left behind, are still there")
		}
		change()
		if done, file := boots(); done || file != owners {
			t.Errorf("reset %d again: %v, %s", i, done, file)
		}
	}
}

func FuzzTrimSeed(f *testing.F) {
	f.Add([]byte("{}"))
	f.Add([]byte(placeholder("{}")))
	f.Add([]byte("\x00 \r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		seed, err := readTrimmed(bytes.NewReader(b))
		if (err != nil) != (len(b) > maxSeedBytes) {
			t.Fatalf("readTrimmed of %d bytes: %v", len(b), err)
		}
		if !bytes.HasPrefix(b, seed) {
			t.Fatalf("readTrimmed changed %q to %q", b, seed)
		}
		again, err := readTrimmed(bytes.NewReader(append(seed, ' ', '\n')))
		if len(seed)+2 <= maxSeedBytes && (err != nil || !bytes.Equal(seed, again)) {
			t.Fatalf("the same seed with other padding = %q, %v, want %q", again, err, seed)
		}
	})
}

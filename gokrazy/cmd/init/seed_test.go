package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// placeholder is what the image holds: 16 KiB of spaces, with s written over its beginning.
func placeholder(s string) string { return s + strings.Repeat(" ", 16<<10-len(s)) }

func TestTakeSeed(t *testing.T) {
	const a, b = `{"stream":{"fps":30}}`, `{"stream":{"fps":15}}`
	for _, c := range []struct {
		name   string
		seeds  []string // one boot each; "-" is no file
		want   string   // outcome of the last boot
		config string   // afterwards, "" is no file
	}{
		{"a placeholder nobody wrote to is none", []string{placeholder("")}, seedNone, ""},
		{"a missing file is none", []string{"-"}, seedNone, ""},
		{"an empty file is none", []string{""}, seedNone, ""},
		{"zeros are none", []string{strings.Repeat("\x00", 512)}, seedNone, ""},
		{"a seed is taken without its padding", []string{placeholder(a)}, seedTaken, a + "\n"},
		{"the same seed is taken once", []string{a, a}, seedUnchanged, a + "\n"},
		{"other padding is the same seed", []string{placeholder(a), a + "\r\n"}, seedUnchanged, a + "\n"},
		{"another seed replaces it", []string{a, b}, seedTaken, b + "\n"},
		{"a seed that comes back is taken again", []string{a, b, a}, seedTaken, a + "\n"},
		{"a blank after an update leaves the configuration", []string{a, placeholder("")}, seedNone, a + "\n"},
		{"a broken seed is taken where nothing works: its reader says what is wrong", []string{"{"}, seedTaken,
			"{\n"},
		{"a broken seed does not replace a configuration", []string{a, "{"}, seedRefused, a + "\n"},
		{"a seed that is mended replaces a broken one", []string{"{", a}, seedTaken, a + "\n"},
		{"a broken seed replaces a broken one", []string{"{", "["}, seedTaken, "[\n"},
		{"the longest seed is taken", []string{strings.Repeat("x", maxSeedBytes)}, seedTaken,
			strings.Repeat("x", maxSeedBytes) + "\n"},
		{"a longer one is not", []string{a, strings.Repeat("x", maxSeedBytes+1)}, seedFailed, a + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			boot, perm := t.TempDir(), t.TempDir()
			var got string
			for _, seed := range c.seeds {
				os.Remove(filepath.Join(boot, configName))
				if seed != "-" {
					write(t, filepath.Join(boot, configName), seed)
				}
				got, _ = takeSeed(boot, perm, "", os.Getgid())
			}
			if got != c.want {
				t.Errorf("takeSeed = %s, want %s", got, c.want)
			}
			config, _ := os.ReadFile(filepath.Join(perm, configName))
			if string(config) != c.config {
				t.Errorf("configuration has %d bytes, want %d", len(config), len(c.config))
			}
		})
	}
}

func TestTakeSeedKeepsWhatTheOwnerChangedLater(t *testing.T) {
	boot, perm := t.TempDir(), t.TempDir()
	write(t, filepath.Join(boot, configName), "{}")
	for range 2 {
		if _, err := takeSeed(boot, perm, "", os.Getgid()); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(perm, configName), "changed on the page")
	}
	if got, _ := os.ReadFile(filepath.Join(perm, configName)); string(got) != "changed on the page" {
		t.Errorf("configuration = %q, want the owner's change", got)
	}
}

func TestTakeSeedKeepsTheSecretFromOthers(t *testing.T) {
	boot, perm := t.TempDir(), t.TempDir()
	write(t, filepath.Join(boot, configName), "{}")
	if _, err := takeSeed(boot, perm, "", os.Getgid()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(perm, configName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode = %v, want 0640: it holds the gateway's key", info.Mode().Perm())
	}
	if left, _ := filepath.Glob(filepath.Join(perm, ".*")); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestTakeSeedIsTriedAgainAfterAWriteThatFailed(t *testing.T) {
	boot := t.TempDir()
	write(t, filepath.Join(boot, configName), "{}")
	got, err := takeSeed(boot, filepath.Join(boot, "no such folder"), "", os.Getgid())
	if got != seedFailed || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("takeSeed = %s, %v, want %s and os.ErrNotExist", got, err, seedFailed)
	}
	perm := t.TempDir()
	if got, err := takeSeed(boot, perm, "", os.Getgid()); got != seedTaken || err != nil {
		t.Errorf("takeSeed = %s, %v, want %s", got, err, seedTaken)
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

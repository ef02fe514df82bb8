package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/settings"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// exampleSettings loads a file as the board does.
func exampleSettings(t *testing.T, file string) settings.Settings {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a", config.SeedName), file)
	found, err := settings.Store{Dir: dir}.Load(slot.A)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEachServiceGetsItsOwnSections(t *testing.T) {
	const file = `{"gateway": {"url": "https://gate.example", "key": "the-gateways-key"},
		"web": {"password-hash": "$2y$10$7EqJtq98hPqEX7fNZaFWoOhi5BWX4Z1Z3b8q6Y5m1G3GQq2nq1D6S"},
		"time": {"ntp": ["10.0.0.1"]}, "wifi": {"key": "x"}}`
	found := exampleSettings(t, file)
	secrets := map[string]string{"camsource": "the-gateways-key", "camweb": "$2y$", "ntp": "10.0.0.1"}
	for _, s := range services() {
		b, err := s.part(found).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for owner, secret := range secrets {
			if strings.Contains(string(b), secret) != (owner == s.name) {
				t.Errorf("%s gets %s", s.name, b)
			}
		}
		if says := strings.Contains(string(b), "wifi.key"); says != (s.name == "camsource") {
			t.Errorf("%s says what is wrong: %v", s.name, says)
		}
	}
}

func TestAServicesFileIsRootsAndReadableByTheServiceAlone(t *testing.T) {
	need.Root(t, "to give files away")
	dir := filepath.Join(t.TempDir(), "config")
	found := exampleSettings(t, "{\"stream\": {\"fps\": 15,\n\"fast\": true}}")
	for _, s := range services() {
		for range 2 {
			if err := s.write(dir, found); err != nil {
				t.Fatal(err)
			}
		}
		info, err := os.Stat(s.file(dir))
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if info.Mode().Perm() != 0o440 || st.Uid != 0 || int(st.Gid) != s.group {
			t.Errorf("%s: mode %v of %d:%d, want 0440 of 0:%d", s.name, info.Mode(), st.Uid, st.Gid, s.group)
		}
	}
	c, err := config.LoadBoard("", services()[0].file(dir))
	const want = "a/krazycam.json:2: stream.fast: unknown key"
	if c.Stream.FPS != 15 || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("camsource reads %d fps, %v", c.Stream.FPS, err)
	}
}

func TestEverySectionIsSomebodys(t *testing.T) {
	c := config.Default()
	for _, s := range c.Sections() {
		if !isSomebodys(s.Name) {
			t.Errorf("no service gets section %s", s.Name)
		}
	}
}

func TestDescribeNamesTheFirstProblemAndWhatCounts(t *testing.T) {
	for file, want := range map[string]string{
		`{}`:                               "",
		`{"stream": {"a": 1, "b": 2}}`:     "some settings do not count: ",
		`{"stream": {"encryption": true}}`: "going on with the image's defaults",
	} {
		if got := describe(exampleSettings(t, file)); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("describe = %q, want %q", got, want)
		}
	}
}

// camctl flash as a person sees it: on a terminal, with files in the place of cards.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
)

// cardFile stands for a card.
func cardFile(t *testing.T, name string) string {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // where fingerprints are kept
	t.Setenv("SUDO_USER", "")
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 24<<20); err != nil {
		t.Fatal(err)
	}
	return path
}

// seedOf reads what a board would read.
func seedOf(t *testing.T, card string) config.Config {
	t.Helper()
	seed, err := seedOn(card)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ParseSeed(nil, card, seed)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// next reads the screen up to a text that has not been waited for yet. No secret may be shown before it.
func (s *session) next(text string) {
	s.t.Helper()
	s.waitFor(text)
	before, after, _ := strings.Cut(s.shown, text)
	if s.shown = after; strings.Contains(before, "sesame") {
		s.t.Errorf("the key is shown: %q", before)
	}
}

// end waits for the end and gives the exit code.
func (s *session) end() int {
	s.t.Helper()
	_ = s.cmd.Wait() // the code says it
	return s.cmd.ProcessState.ExitCode()
}

func TestWithoutACardAPersonIsAskedForEverything(t *testing.T) {
	card := cardFile(t, "card")
	image := tinyImage(t, t.TempDir())
	s := onTerminal(t, "flash", image)
	s.next("look again")
	s.press("77\r")
	s.next("there is no drive 77")
	s.next("look again")
	s.press(image + "\r")
	s.next("is the image itself")
	s.next("look again")
	s.press(card + "\r")
	s.next("URL of the gateway")
	s.press("ftp://gateway\r")
	s.next("key of the gateway: ")
	s.waitForSecrecy()
	s.press("sesame\r")
	s.next("that does not work: krazycam.json")
	s.next("board streams nothing): ")
	s.press("http://192.168.1.10:8080/\r")
	s.next("key of the gateway: ")
	s.waitForSecrecy()
	s.press("sesame\r")
	s.next("unencrypted")
	s.press("yes\r")
	s.next("will be lost. Write it? [yes/no] ")
	s.press("yes\r")
	s.next("password of the board's HTTPS")
	s.next("fingerprint of its certificate")
	if code := s.end(); code != exitDone {
		t.Errorf("exit code %d, the screen shows %q", code, s.shown)
	}
	if c := seedOf(t, card); c.Gateway.URL != "http://192.168.1.10:8080/" || c.Gateway.Key != "sesame" ||
		!c.Gateway.AllowHTTP || c.Web.PasswordHash == "" {
		t.Errorf("seed %+v", c)
	}
}

func TestAPersonWhoSaysNoKeepsTheCard(t *testing.T) {
	card := cardFile(t, "card")
	s := onTerminal(t, "flash", tinyImage(t, t.TempDir()))
	s.next("look again")
	s.press(card + "\r")
	s.next("streams nothing): ")
	s.press("\r")
	s.next("[yes/no] ")
	s.press("no\r")
	s.next("nothing was written")
	if code := s.end(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if b, err := os.ReadFile(card); err != nil || strings.Trim(string(b), "\x00") != "" {
		t.Errorf("the card was written, %v", err)
	}
}

func TestARowIsWrittenOnACardOfItsOwn(t *testing.T) {
	lobby, door := cardFile(t, "lobby"), cardFile(t, "door")
	dir := t.TempDir()
	image, table := tinyImage(t, dir), filepath.Join(dir, "boards.csv")
	common := filepath.Join(dir, "common.json") // no seed by itself: it has no key
	for file, text := range map[string]string{
		table: "name,gateway.key\nlobby,k1\ndoor,k2\nyard,k3\n", common: `{"gateway": {"url": "https://a.example/api"}}`,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	slot := filepath.Join(dir, "slot") // of a reader: a link to the card that is in it
	insert := func(card string) {
		_ = os.Remove(slot) // there is none at first
		if err := os.Symlink(card, slot); err != nil {
			t.Fatal(err)
		}
	}
	insert(lobby)
	s := onTerminal(t, "flash", image, slot, "--seeds", table, "--seed", common)
	s.next("Put the card for lobby into " + slot)
	s.press("\r")
	s.next("Put the card for door")
	s.press("\r") // forgot to change it
	s.next("holds the card of lobby, which is done: change it")
	insert(door)
	s.next("Put the card for door")
	s.press("\r")
	s.next("Put the card for yard")
	s.press(ctrlC)
	s.next("2 of 3 rows are written; the same command goes on with the others")
	if code := s.end(); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if a, b := seedOf(t, lobby).Gateway.Key, seedOf(t, door).Gateway.Key; a != "k1" || b != "k2" {
		t.Errorf("keys %q, %q", a, b)
	}
	// The same command goes on. One row and a card by name need no question.
	yard := cardFile(t, "yard")
	code, stdout, stderr := camctl(t, "flash", image, yard, "--seeds", table, "--seed", common, "--json")
	var got struct{ Name, Password, Fingerprint string }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitDone || got.Name != "yard" ||
		got.Password == "" || got.Fingerprint == "" || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	if want := "2 of 3 rows were written before: lobby, door"; !strings.Contains(stderr, want) {
		t.Errorf("%q, want %q in it", stderr, want)
	}
	if seedOf(t, yard).Gateway.Key != "k3" {
		t.Error("another seed")
	}
	if b, err := os.ReadFile(table + doneEnding); err != nil || strings.Count(string(b), "\n") != 3 ||
		strings.Contains(string(b), "k3") {
		t.Errorf("%s, %v", b, err)
	}
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("new"), 12<<20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	code, _, stderr = camctl(t, "flash", image, yard, "--seeds", table, "--seed", common)
	if want := "written with another image: lobby, door, yard: --again"; code != exitFailed ||
		!strings.Contains(stderr, want) {
		t.Errorf("with a new image: exit code %d, %q, want %q in it", code, stderr, want)
	}
}

func TestAWrongRowStopsBeforeTheFirstCard(t *testing.T) {
	card := cardFile(t, "card")
	dir := t.TempDir()
	table := filepath.Join(dir, "boards.csv")
	text := "name,gateway.url,gateway.key\nlobby,https://a.example/api,k1\ndoor,https://a.example/api,\n"
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := camctl(t, "flash", tinyImage(t, dir), card, "--seeds", table)
	if code != exitFailed || !strings.Contains(stderr, "boards.csv:3: gateway.key: is missing") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if b, err := os.ReadFile(card); err != nil || strings.Trim(string(b), "\x00") != "" {
		t.Errorf("the card was written, %v", err)
	}
}

func TestGatewayFlagsMakeTheSeed(t *testing.T) {
	card := cardFile(t, "card")
	image := tinyImage(t, t.TempDir())
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := camctl(t, "flash", image, card, "--gateway", "https://a.example/api", "--key-file", key)
	if code != exitDone || seedOf(t, card).Gateway.Key != "sesame" {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--gateway", "http://a.example/", "--key", "k"}, exitFailed, "allow-http"},
		{[]string{"--gateway", "https://a.example/"}, exitFailed, "--key-file"},
		{[]string{"--key", "k"}, exitUsage, "go with --gateway"},
		{[]string{"--again"}, exitUsage, "goes with --seeds"},
		{[]string{"--gateway", "https://a.example/", "--seed", key}, exitUsage, "none of the others can be"},
	} {
		code, _, stderr := camctl(t, append([]string{"flash", image, card}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %q, want %d and %q in it", c.args, code, stderr, c.code, c.want)
		}
	}
	if code, _, stderr := camctl(t, "flash", image); code != exitFailed || !strings.Contains(stderr, "give CARD") {
		t.Errorf("without a card and a terminal: exit code %d, %q", code, stderr)
	}
}

func TestFilesWithSecretsThatOthersCanReadAreWarnedOf(t *testing.T) {
	card, dir := cardFile(t, "card"), t.TempDir()
	image := tinyImage(t, dir)
	const url = `"url": "https://a.example/api"`
	for _, c := range []struct {
		name          string
		seed, table   string
		mode          os.FileMode
		warned, quiet string // flags
	}{
		{"a seed", `{"gateway": {` + url + `, "key": "k"}}`, "", 0o644, "--seed holds", "--seeds holds"},
		{"a seed of one's own", `{"gateway": {` + url + `, "key": "k"}}`, "", 0o600, "", "--seed"},
		{"a seed without a secret", `{"stream": {"fps": 10}}`, "", 0o644, "", "holds secrets"},
		{"a table", `{"gateway": {` + url + `}}`, "gateway.key\nk\n", 0o644, "--seeds holds", "--seed holds"},
		{"a table without a secret", `{"stream": {"fps": 10}}`, "stream.threads\n1\n", 0o644, "", "holds secrets"},
	} {
		seed, table := filepath.Join(dir, "seed.json"), filepath.Join(dir, c.name+".csv")
		args := []string{"flash", image, card, "--seed", seed}
		if c.table != "" {
			args = append(args, "--seeds", table)
		}
		for file, text := range map[string]string{seed: c.seed, table: c.table} {
			if err := errors.Join(os.WriteFile(file, []byte(text), c.mode), os.Chmod(file, c.mode)); err != nil {
				t.Fatal(err)
			}
		}
		code, _, stderr := camctl(t, args...)
		if code != exitDone || !strings.Contains(stderr, c.warned) || strings.Contains(stderr, c.quiet) {
			t.Errorf("%s: exit code %d, %q, want %q in it and not %q", c.name, code, stderr, c.warned, c.quiet)
		}
	}
}

func TestAnAnswerMeansADrive(t *testing.T) {
	drives := []drive.Drive{{Path: "/dev/sdb"}, {Path: "/dev/sdc"}}
	for answer, want := range map[string]string{"1": "/dev/sdb", "2": "/dev/sdc", "0": "error", "3": "error",
		"/dev/mmcblk0": "/dev/mmcblk0", "": ""} {
		got, err := chosen(drives, answer)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q means %q, want %q", answer, got, want)
		}
	}
	var shown strings.Builder
	showDrives(&shown, drives)
	if want := fmt.Sprintf("  2  %s\n", drives[1]); !strings.Contains(shown.String(), want) {
		t.Errorf("%q, want %q in it", shown.String(), want)
	}
}

// Drives that change while a person is asked: lists are played, a terminal is real.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/flash"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
)

// patient is for what hangs, on any machine.
const patient = 2 * time.Minute

// An asked flash runs in the test's own process, with a terminal and drives that the test changes.
type asked struct {
	session
	work    *flashWork
	program *os.File
	stdout  bytes.Buffer

	mu     sync.Mutex
	drives []drive.Drive
}

func newAsked(t *testing.T, drives ...drive.Drive) *asked {
	t.Helper()
	a := &asked{drives: drives}
	a.session.t = t
	a.screen, a.program = need.Terminal(t)
	a.until = time.Now().Add(patient)
	late := time.AfterFunc(patient, func() { fmt.Fprintln(a.program, "LATE") }) // ends the screen's Read
	t.Cleanup(func() { late.Stop() })
	image, err := flash.OpenImage(t.Context(), tinyImage(t, t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { image.Close() })
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetIn(a.program)
	cmd.SetErr(a.program)
	cmd.SetOut(&a.stdout)
	a.work = &flashWork{cmd: cmd, image: image, report: func(string, int64, int64) {},
		options: &flashOptions{asJSON: new(bool), web: webFlags{none: true}}, list: a.list}
	return a
}

func (a *asked) list(context.Context) ([]drive.Drive, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.drives), nil
}

func (a *asked) set(drives ...drive.Drive) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drives = drives
}

// start runs work; its error comes when it ends.
func (a *asked) start(work func() error) <-chan error {
	ended := make(chan error, 1)
	go func() {
		ended <- work()
		fmt.Fprintln(a.program, "ENDED") // for a test that waits for another text
	}()
	return ended
}

// end waits for what start runs.
func (a *asked) end(ended <-chan error) error {
	a.t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(patient):
		a.t.Fatal("it asks for more, or hangs")
		return nil
	}
}

func isBlank(t *testing.T, card string) bool {
	t.Helper()
	b, err := os.ReadFile(card)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(string(b), "\x00") == ""
}

func TestANumberMeansTheDriveThatWasShown(t *testing.T) {
	card, other := cardFile(t, "card"), cardFile(t, "other")
	shown := drive.Drive{Path: card, Name: "Reader", Size: 24 << 20}
	second := drive.Drive{Path: other, Name: "Photos", Size: 24 << 20}
	shown.Mounts = []string{"/Volumes/OLD"} // as on a Mac, which closes it
	a := newAsked(t, shown)
	ended := a.start(func() error { return a.work.writeOne([]byte("{}")) })
	a.next("look again): ")
	a.set(second, shown) // 1 would be another now
	a.press("1\r")
	a.next("Everything on " + card + "  Reader, 25 MB")
	a.next("open at /Volumes/OLD will be lost, what is open there is closed.")
	a.press("yes\r")
	if err := a.end(ended); err != nil || !isBlank(t, other) || isBlank(t, card) {
		t.Errorf("%v, or another drive was written", err)
	}
}

func TestADriveThatIsNoLongerTheOneShownIsNotWritten(t *testing.T) {
	for _, typed := range []bool{false, true} {
		card := cardFile(t, "card")
		shown := drive.Drive{Path: card, Name: "Reader", Size: 24 << 20}
		another := drive.Drive{Path: card, Name: "Photos", Size: 24 << 20}
		a := newAsked(t, shown)
		ended := a.start(func() error { return a.work.writeOne([]byte("{}")) })
		answer := "1\r"
		if typed {
			answer = card + "\r"
		}
		a.next("look again): ")
		a.set(another) // before the answer
		a.press(answer)
		a.next("the drives have changed")
		a.next("Photos")
		a.next("look again): ")
		a.press(answer)
		a.next("Everything on " + card + "  Photos, 25 MB")
		a.set(shown) // before the word
		a.press("yes\r")
		a.next("the drives have changed")
		a.next("look again): ")
		a.press(answer)
		a.next("Write it?")
		a.press("no\r")
		if err := a.end(ended); !errors.Is(err, errNotConfirmed) || !isBlank(t, card) {
			t.Errorf("typed %t: %v, want %v and nothing written", typed, err, errNotConfirmed)
		}
	}
}

func TestYesNeedsNoWordButComparesTheDrive(t *testing.T) {
	card := cardFile(t, "card")
	shown := drive.Drive{Path: card, Name: "Reader", Size: 24 << 20}
	a := newAsked(t, shown)
	a.work.options.yes = true
	a.work.target, a.work.shown = card, drive.Drive{Path: card, Name: "Photos", Size: 24 << 20}
	if err := a.work.confirm(); !errors.Is(err, errChanged) {
		t.Errorf("%v, want %v", err, errChanged)
	}
	a.work.shown = shown
	if err := a.work.confirm(); err != nil {
		t.Error(err)
	}
}

func newRows(t *testing.T) (door boardRow, done *doneRows) {
	t.Helper()
	done, err := openDone(filepath.Join(t.TempDir(), "boards.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return boardRow{Name: "door", seed: []byte("{}"), sum: "2"}, done
}

func TestTheNextCardIsConfirmedIfTheDriveIsAnother(t *testing.T) {
	card := cardFile(t, "card")
	reader := drive.Drive{Path: card, Name: "Reader", Size: 24 << 20}
	a := newAsked(t, reader)
	door, done := newRows(t)
	lobby := boardRow{Name: "lobby", seed: []byte(`{"stream":{"fps":10}}`), sum: "1"}
	written, skipped := 0, []string(nil)
	ended := a.start(func() (err error) {
		written, skipped, err = a.work.writeLeft([]boardRow{lobby, door}, done)
		return err
	})
	a.next("Card for lobby (1")
	a.press("1\r")
	a.next("Everything on " + card + "  Reader")
	a.press("yes\r")
	a.next("Put the card for door into " + card + "  Reader, 25 MB")
	before, err := os.ReadFile(card)
	if err != nil {
		t.Fatal(err)
	}
	a.set(drive.Drive{Path: card, Name: "Photos", Size: 24 << 20})
	a.press("\r")
	a.next("Everything on " + card + "  Photos")
	a.press("no\r")
	a.next("Card for door (1")
	a.press("skip\r")
	if err := a.end(ended); err != nil || written != 1 || !slices.Equal(skipped, []string{"door"}) {
		t.Errorf("%d written, skipped %q, %v", written, skipped, err)
	}
	if after, err := os.ReadFile(card); err != nil || !bytes.Equal(before, after) || isBlank(t, card) {
		t.Errorf("the other drive was written, or the first was not: %v", err)
	}
}

func TestADriveThatIsGoneIsChosenAnew(t *testing.T) {
	card := cardFile(t, "card")
	a := newAsked(t, drive.Drive{Path: card, Name: "Reader", Size: 24 << 20})
	door, _ := newRows(t)
	a.work.target, a.work.shown = card, a.drives[0]
	ended := a.start(func() error { return a.work.askRowsCard(door) })
	a.next("Put the card for door")
	a.set()
	a.press("\r")
	a.next("put the card in, then press Enter")
	a.press("skip\r")
	if err := a.end(ended); !errors.Is(err, errSkipped) {
		t.Errorf("%v, want %v", err, errSkipped)
	}
}

func TestWhatWasTypedWhileACardWasWrittenIsNoAnswer(t *testing.T) {
	card := cardFile(t, "card")
	a := newAsked(t)
	door, _ := newRows(t)
	a.work.target = card
	a.press("skip\r")
	for { // until the terminal has it
		if n, err := unix.IoctlGetInt(int(a.program.Fd()), unix.TIOCINQ); err != nil {
			t.Fatal(err)
		} else if n == len("skip\n") {
			break
		}
	}
	ended := a.start(func() error { return a.work.askRowsCard(door) })
	a.next("Put the card for door into " + card + ", then")
	a.press("\r")
	if err := a.end(ended); err != nil {
		t.Error(err)
	}
}

func TestAPasswordIsShownBeforeAnythingElseCanFail(t *testing.T) {
	a := newAsked(t)
	*a.work.options.asJSON = true
	a.work.options.web.none = false
	door, done := newRows(t)
	done.file = filepath.Join(t.TempDir(), "gone", "boards.csv.done")
	a.work.target = cardFile(t, "card")
	written, _, err := a.work.writeLeft([]boardRow{door}, done)
	if !errors.Is(err, fs.ErrNotExist) || written != 0 {
		t.Errorf("%d written, %v, want that the list cannot be", written, err)
	}
	var got struct{ Name, Password string }
	if err := json.Unmarshal(a.stdout.Bytes(), &got); err != nil || got.Name != "door" || got.Password == "" {
		t.Errorf("%q, %v, want the password", a.stdout.String(), err)
	}
}

func TestACardThatCannotBeReadIsAskedAbout(t *testing.T) {
	a := newAsked(t)
	_, done := newRows(t)
	a.work.target = t.TempDir() // no card, and nothing to read
	if err := a.work.notWritten(done); err != nil {
		t.Errorf("no row is written, but %v", err)
	}
	done.rows = []doneRow{{Name: "lobby"}}
	for answer, taken := range map[string]bool{"yes": true, "no": false, "": false} {
		ended := a.start(func() error { return a.work.notWritten(done) })
		a.next("Is it another one?")
		a.press(answer + "\r")
		if err := a.end(ended); (err == nil) != taken {
			t.Errorf("%q: %v, taken %t is right", answer, err, taken)
		}
		a.next("ENDED")
	}
	a.work.cmd.SetIn(strings.NewReader(""))
	if err := a.work.notWritten(done); err == nil {
		t.Error("with nobody to ask it is taken")
	}
	a.work.target = filepath.Join(t.TempDir(), "none")
	if err := a.work.notWritten(done); err != nil {
		t.Errorf("a card that is not there: %v, which writing says", err)
	}
}

func TestOnlyMissingRightsAreAnsweredWithTheirHint(t *testing.T) {
	failed := &fs.PathError{Op: "write", Path: "/dev/sdb", Err: os.ErrPermission}
	if err := withHint(failed); strings.Contains(err.Error(), administratorHint) {
		t.Errorf("a card that refuses a write: %v", err)
	}
	err := withHint(fmt.Errorf("%w: %w", failed, drive.ErrRights))
	if !strings.Contains(err.Error(), administratorHint) {
		t.Errorf("a card that may not be opened: %v", err)
	}
}

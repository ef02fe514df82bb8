package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/settings"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// fps is a file with one setting.
func fps(n string) string { return `{"stream": {"fps": ` + n + `}}` }

// An ownersCard is the owner's settings on /perm and the boot partition, both folders.
type ownersCard struct {
	*ownerSettings
	boot string
}

// newOwnersCard has both slots' folders, and no settings.
func newOwnersCard(t *testing.T, running slot.Name) ownersCard {
	t.Helper()
	need.Root(t, "to give files away")
	perm, boot := t.TempDir(), t.TempDir()
	list, err := events.Open(filepath.Join(perm, "events"), time.Now)
	err = errors.Join(err, os.Mkdir(filepath.Join(perm, "a"), 0o700), os.Mkdir(filepath.Join(perm, "b"), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	return ownersCard{&ownerSettings{
		log: slog.New(slog.NewTextHandler(t.Output(), nil)), events: list, store: settings.Store{Dir: perm},
		slot: running, parts: filepath.Join(perm, "run"),
		withBoot: func(use func(string) error) error { return use(boot) },
	}, boot}
}

// expect says what camsource finds, and whether an event says so.
func (c ownersCard) expect(t *testing.T, what string, wantFPS int, event string) {
	t.Helper()
	got, err := config.LoadBoard("", services()[0].file(c.parts))
	if err != nil || got.Stream.FPS != wantFPS {
		t.Errorf("%s: camsource reads %d fps, %v, want %d", what, got.Stream.FPS, err, wantFPS)
	}
	said := ""
	for _, e := range c.events.Events() {
		said += e.Text + "\n"
	}
	if !strings.Contains(said, event) {
		t.Errorf("%s: events %q, want %q", what, said, event)
	}
}

func TestSeedAndResetCountAtAStartButNotOnTrial(t *testing.T) {
	c := newOwnersCard(t, slot.A)
	seed := filepath.Join(c.boot, config.SeedName)
	write(t, seed, fps("15"))
	alone := settings.Start{Running: slot.A, Promoted: slot.A}
	if got := c.settle(alone); got != settings.SeedTaken {
		t.Errorf("seed: %s", got)
	}
	c.expect(t, "the first start", 15, "")

	write(t, seed, fps("20"))
	write(t, filepath.Join(c.boot, "reset"), "")
	c.slot = slot.B
	if got := c.settle(settings.Start{Running: slot.B, Promoted: slot.A, Trial: "v2/2"}); got != settings.SeedNone {
		t.Errorf("seed on trial: %s", got)
	}
	c.expect(t, "on trial", 15, "")
	write(t, filepath.Join(c.store.Dir, "b", config.SeedName), fps("25")) // the owner sets it during the trial

	c.slot = slot.A
	alone.Failed = "v2"
	if got := c.settle(alone); got != settings.SeedTaken {
		t.Errorf("seed after the trial: %s", got)
	}
	c.expect(t, "after the trial", 20, "the file reset restores the factory configuration")
	c.expect(t, "after the trial", 20, "settings that only the version that failed had do not count: stream.fps")
	if got := c.settle(alone); got != settings.SeedUnchanged {
		t.Errorf("the same seed: %s", got)
	}
}

// A slot whose settings cannot be made streams by those of the other one.
func TestATrialThatCannotKeepSettingsGoesByThePromotedOnes(t *testing.T) {
	c := newOwnersCard(t, slot.B)
	write(t, filepath.Join(c.store.Dir, "a", config.SeedName), fps("15"))
	locked := filepath.Join(c.store.Dir, "b")
	if err := unix.Mount("tmpfs", locked, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(locked, 0) })
	c.settle(settings.Start{Running: slot.B, Promoted: slot.A, Trial: "v2/2"})
	c.expect(t, "with a folder that cannot be written", 15, "")
}

// An owner's file may be 64 KiB of keys that only the version that failed knows. The status must still be
// one that camweb reads.
func TestManySettingsThatAreLeftBehindFitAStatus(t *testing.T) {
	c := newOwnersCard(t, slot.A)
	many := `{"stream": {"` + strings.Repeat("long", 8<<10) + `": 1`
	for i := range 2000 {
		many += fmt.Sprintf(`,"k%d":1`, i)
	}
	write(t, filepath.Join(c.store.Dir, "a", config.SeedName), "{}")
	c.slot = slot.B
	c.settle(settings.Start{Running: slot.B, Promoted: slot.A, Trial: "v2/2"})
	write(t, filepath.Join(c.store.Dir, "b", config.SeedName), many+"}}")
	c.slot = slot.A
	c.settle(settings.Start{Running: slot.A, Promoted: slot.A, Failed: "v2"})
	left := c.LeftBehind()
	if len(left) != maxLeft+1 || left[maxLeft] != "and 1951 more" {
		t.Errorf("%d names, the last %q", len(left), left[len(left)-1])
	}
	path := filepath.Join(t.TempDir(), "status.json")
	if err := control.WriteStatus(path, control.Status{LeftBehind: left}); err != nil {
		t.Fatal(err)
	}
	if got, err := control.ReadStatus(path); err != nil || len(got.LeftBehind) != len(left) {
		t.Errorf("read back %d names, %v", len(got.LeftBehind), err)
	}
}

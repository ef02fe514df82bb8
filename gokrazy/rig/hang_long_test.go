//go:build long

// A camsource that reports nothing is killed and started again.

package rig

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// install makes a content the root of slot a, as if the card had been flashed with it.
func (u *updatable) install(t *testing.T, c content) {
	t.Helper()
	root, err := disk.SquashFS(c.root)
	if err != nil {
		t.Fatal(err)
	}
	openCard(t, u.card).write(t, card.RootA, root)
}

func TestCamsourceThatReportsNothingIsKilledAndStartedAgainInVM(t *testing.T) {
	need.Tools(t, "qemu-system-aarch64")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.install(t, sourceHangs(t, u.content))
	u.start(ctx, t, vm.Config{Watchdog: true})
	var at []time.Time
	const killed = "camsource hangs: it is killed and started again"
	for _, pattern := range []string{"init READY", killed, killed} {
		line, err := u.WaitLine(ctx, regexp.MustCompile(pattern))
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, line.At)
	}
	t.Logf("FIGURE camsource that reports nothing: killed after %.0f s, its successor %.0f s later",
		at[1].Sub(at[0]).Seconds(), at[2].Sub(at[1]).Seconds())
	if u.Boots() != 1 {
		t.Errorf("%d starts of the board, want 1: the smallest restart helps", u.Boots())
	}
}

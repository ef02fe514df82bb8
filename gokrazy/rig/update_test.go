// Updates of whole boards, good and bad, as an owner sends them: pushed over HTTPS, written into the
// other slot, tried, judged by the stream. Nothing of the board is played but its boot firmware, where
// QEMU has none.

package rig

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// badVersion is a version that must not stay.
type badVersion struct {
	name   string // of the version
	change func(t *testing.T, c content) content
	why    string // part of the reason that the board gives
}

func initExits(t *testing.T, c content) content   { return c.withFault(t, "gokrazy/init", "exit") }
func sourceExits(t *testing.T, c content) content { return c.withFault(t, "user/camsource", "exit") }

// fallsBack sends a bad version and waits until the board streams with the old one, which it must call
// its own, with the bad one beside it.
func (u *updatable) fallsBack(ctx context.Context, t *testing.T, bad badVersion) {
	t.Helper()
	before := u.streams(ctx, t, "a")
	o := u.mustUpdate(ctx, t, u.signer.bundle(t, bad.change(t, u.content), bad.name), remote.ResultFellBack)
	if !strings.Contains(o.Reason, bad.why) {
		t.Errorf("%s fell back because %q, want %q in it", bad.name, o.Reason, bad.why)
	}
	after := u.streams(ctx, t, "a")
	if after.Version != before.Version || after.Failed == nil || after.Failed.Version != bad.name ||
		after.Failed.Because != o.Reason {
		t.Errorf("after %s the board says version %s, failed %+v; want %s and %s", bad.name, after.Version,
			after.Failed, before.Version, bad.name)
	}
}

// cuts is how many power cuts are played of recorded updates.
const cuts = 50

// One card sees it all, and all that was written to it is cut off at many moments.
func TestUpdatesOfAPi4EndWellAndNoPowerCutHurtsInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	r := &recording{before: u.card + ".before", log: u.card + ".writes"}
	copyImage(t, r.before, u.card)
	u.start(ctx, t, vm.Config{WriteLog: r.log, Watchdog: true})
	r.kept = []string{u.streams(ctx, t, "a").Version, "v-good"}
	good := u.signer.bundle(t, u.content.withMark("good"), "v-good")
	u.refusals(ctx, t, good)
	for _, bad := range []badVersion{
		{"v-init-exits", initExits, ""},
		{"v-source-exits", sourceExits, "ended"},
	} {
		u.fallsBack(ctx, t, bad)
		r.tried = append(r.tried, bad.name)
	}
	u.mustUpdate(ctx, t, good, remote.ResultPromoted)
	last := r.tried[len(r.tried)-1]
	if s := u.streams(ctx, t, "b"); s.Version != "v-good" || s.Failed == nil || s.Failed.Version != last {
		t.Errorf("the board runs %s, the latest that failed: %+v; want v-good, %s", s.Version, s.Failed, last)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	played := r.checkCuts(t, cuts)
	u.startsAfter(ctx, t, r, played[len(played)*2/3])
}

// startsAfter boots a card that a power cut left.
func (u *updatable) startsAfter(ctx context.Context, t *testing.T, r *recording, c powerCut) {
	t.Helper()
	u.card = filepath.Join(t.TempDir(), "cut.img")
	r.writeTo(t, u.card, c)
	u.start(ctx, t, vm.Config{})
	s := u.streams(ctx, t, "")
	t.Logf("FIGURE rpi: a card cut after write %d streams again from slot %s with %s, %.1f s after power on", c.after,
		s.Slot, s.Version, time.Since(u.Started()).Seconds())
	if err := u.Close(); err != nil {
		t.Error(err)
	}
}

// refuses sends a bundle that must be refused, and checks that the board says why and restarts not.
func (u *updatable) refuses(ctx context.Context, t *testing.T, what string, b *update.Bundle, says string) {
	t.Helper()
	boots := u.Boots()
	o, err := u.client.Update(ctx, b, nil)
	var no *remote.Refusal
	if !errors.As(err, &no) || !strings.Contains(no.Text, says) {
		t.Errorf("%s: %+v, %v, want a refusal with %q", what, o, err, says)
		return
	}
	t.Logf("refused: %s: %s", what, no.Text)
	if s, err := u.client.Status(ctx); err != nil || u.Boots() != boots || s.Slot != "a" || s.Promoted != "a" {
		t.Errorf("%s: afterwards the board is in slot %s, promoted %s, %d restarts, %v", what, s.Slot, s.Promoted,
			u.Boots()-boots, err)
	}
}

// refusals are made of a good bundle. A Pi takes no byte of their parts, or checks them and writes nothing.
func (u *updatable) refusals(ctx context.Context, t *testing.T, good *update.Bundle) {
	t.Helper()
	unsigned := *good
	unsigned.Signature = []byte("untrusted comment: none\n")
	u.refuses(ctx, t, "an unsigned bundle", &unsigned, "signature")
	same := func(*update.Manifest) {}
	u.refuses(ctx, t, "a bundle of another key", newSigner(t).vary(t, good, same), "signature")
	foreign := func(m *update.Manifest) { m.Board = "bbb" }
	u.refuses(ctx, t, "a bundle of another board", u.signer.vary(t, good, foreign), "made for another board")
	older := func(m *update.Manifest) { m.Version, m.Index = "v-old", 2 }
	u.refuses(ctx, t, "an older version", u.signer.vary(t, good, older), "not newer")
	lacking := u.signer.vary(t, good, without(update.BootPrefix+"overlays/README"))
	u.refuses(ctx, t, "no README", lacking, "overlays/README is missing")
}

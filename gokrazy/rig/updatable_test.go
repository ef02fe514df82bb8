// A board that takes updates: the image of scripts/image with a seed, on a card of its own, in its VM,
// and an owner who asks it over HTTPS as camctl does.

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

const (
	ownerPassword = "of-the-owner"
	// topRung is what a stream has that its receiver reports on (package health).
	topRung = "reported"
)

// An updatable is such a board.
type updatable struct {
	*rig
	client  *remote.Client
	content content // of slot a as it was flashed
	signer  *signer
	card    string // file
	port    int    // of this machine that leads to the board's HTTPS

	sent, written time.Time // the latest update: begun, and in the other slot
}

// updatableSeed is what camctl flash writes for an owner who has an update key.
func (g *rig) updatableSeed(t *testing.T, key string, pair certificate.Pair, more map[string]any) []byte {
	t.Helper()
	var seed map[string]any
	if err := json.Unmarshal(g.seed(t), &seed); err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(ownerPassword), 8)
	if err != nil {
		t.Fatal(err)
	}
	seed["web"] = map[string]any{
		"password-hash": string(hash), "tls-certificate": pair.Certificate, "tls-key": pair.Key,
	}
	seed["update"] = map[string]any{"keys": []string{key}}
	for section, values := range more {
		seed[section] = values
	}
	b, err := json.Marshal(seed)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newUpdatable makes a card of a built image; all of it ends with the test.
func newUpdatable(t *testing.T, image string) *updatable {
	t.Helper()
	g := &rig{board: strings.TrimSuffix(filepath.Base(image), ".img"), source: stampedFace(t), tap: newTap(t)}
	g.startFarEnd(t, nil)
	u := &updatable{rig: g, content: contentOf(t, image), signer: newSigner(t), port: freeTCPPort(t)}
	pair, err := certificate.Make()
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := pair.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	u.card = filepath.Join(t.TempDir(), "card.img")
	copyImage(t, u.card, image)
	if err := card.WriteSeed(u.card, g.updatableSeed(t, u.signer.public, pair, nil)); err != nil {
		t.Fatal(err)
	}
	u.client = &remote.Client{
		Host: fmt.Sprintf("127.0.0.1:%d", u.port), Fingerprint: fingerprint, Password: ownerPassword,
		Poll: 250 * time.Millisecond,
	}
	return u
}

// start boots the card. c says what the VM has besides.
func (u *updatable) start(ctx context.Context, t *testing.T, c vm.Config) {
	t.Helper()
	c.Image, c.Forwards = u.card, []vm.Forward{{Host: u.port, Guest: 443}}
	model := virtualcam.Model{FullSpeed: c.Machine == vm.MachinePi3}
	c.Camera = model.New(u.source)
	var err error
	if u.Machine, err = vm.Start(ctx, c); err != nil {
		t.Fatal(err)
	}
	machine := u.Machine
	t.Cleanup(func() {
		machine.Close()
		if t.Failed() {
			lines := machine.Lines()
			for _, l := range lines[max(0, len(lines)-150):] {
				t.Logf("console %7.3f %s", l.At.Sub(machine.Started()).Seconds(), l.Text)
			}
		}
	})
}

func freeTCPPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// streams waits until the board streams from a slot, "" for any, and gives its status then.
func (u *updatable) streams(ctx context.Context, t *testing.T, slot string) api.Status {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var s api.Status
	var err error
	for {
		s, err = u.client.Status(ctx)
		if err == nil && (s.Slot == slot || slot == "") && !s.OnTrial && s.Streaming && s.Rung == topRung {
			return s
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("board in slot %s, rung %s, streaming %v, %v: want a stream from slot %s", s.Slot, s.Rung,
				s.Streaming, err, slot)
		}
	}
}

// mustUpdate brings a version to the board and waits for how that ends, which is as expected. No packet
// of the stream may be lost while the board takes and writes it.
func (u *updatable) mustUpdate(ctx context.Context, t *testing.T, b *update.Bundle, want remote.Result) remote.Outcome {
	t.Helper()
	version := b.Manifest.Version
	u.tap.forgetGap()
	boots, before := u.Boots(), u.tap.counted()
	u.sent, u.written = time.Now(), time.Time{}
	var during rtpCount
	o, err := u.client.Update(ctx, b, func(p remote.Progress) {
		if p.Step == remote.StepRestarting && u.written.IsZero() {
			u.written, during = time.Now(), u.tap.counted()
		}
	})
	if err != nil || u.written.IsZero() || o.Result != want {
		t.Fatalf("update to %s, taken %t: %+v, %v; want %s", version, !u.written.IsZero(), o, err, want)
	}
	took := u.written.Sub(u.sent).Seconds()
	t.Logf("FIGURE %s: update to %s: %s in %.1f s, %d bytes sent, %d restarts, no packet for %.1f s at most: %s",
		u.board, version, o.Result, time.Since(u.sent).Seconds(), o.Sent, u.Boots()-boots,
		u.tap.longestGap().Seconds(), o.Reason)
	t.Logf("FIGURE %s: update to %s: taken and written in %.1f s, meanwhile %.1f frames a second, %d packets lost",
		u.board, version, took, float64(during.frames-before.frames)/took, during.lost-before.lost)
	if during.lost != before.lost {
		t.Errorf("%d packets of the stream were lost while the update came", during.lost-before.lost)
	}
	return o
}

// flashedImage is the path of an image that scripts/image made.
func flashedImage(t *testing.T, board string) string {
	t.Helper()
	file := filepath.Join("..", "..", "out", board+".img")
	need.File(t, file, "scripts/image "+board)
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	return file
}

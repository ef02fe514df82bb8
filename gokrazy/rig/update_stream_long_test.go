//go:build long

// What viewers notice of an update while it comes: nothing.

package rig

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// bearTries is how many updates are sent until one is fast enough and disturbs no picture: another
// program on this machine can spoil one, a board that does too much at once spoils all.
const bearTries = 4

func TestTheStreamBearsAnUpdateInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	for _, c := range []struct {
		board string
		takes time.Duration // from the first byte sent until the version stays, 5 s of trial included
	}{
		{"rpi", 30 * time.Second}, // 25 s on two idle x86 cores
		{"bbb", 75 * time.Second},
	} {
		t.Run(c.board, func(t *testing.T) {
			u := newUpdatable(t, flashedImage(t, c.board))
			port := freePort(t)
			u.tap.to = append(u.tap.to, port)
			decoded := startGStreamer(t, u.source, rigSize, port)
			u.start(ctx, t, vm.Config{})
			slot := "a"
			for try := 1; ; try++ {
				u.streams(ctx, t, slot)
				if try == 1 {
					u.slower = u.calibrate(t)
				}
				slow := u.bears(ctx, t, decoded, fmt.Sprintf("v-%d", try), c.takes)
				if len(slow) == 0 {
					return
				}
				t.Logf("update %d of %d: %s", try, bearTries, strings.Join(slow, "; "))
				if try == bearTries {
					t.Fatalf("no update of %d was fast and left the stream alone", bearTries)
				}
				slot = map[string]string{"a": "b", "b": "a"}[slot]
			}
		})
	}
}

// bears sends an update and compares the stream before it with the stream while it is received and
// written. It says what was too slow.
func (u *updatable) bears(ctx context.Context, t *testing.T, decoded *decoder, version string,
	takes time.Duration) (slow []string) {
	t.Helper()
	b := u.signer.bundle(t, u.content.withMark(version), version)
	from := time.Now().Add(rigSettle)
	to := from.Add(rigMeasure)
	if _, err := decoded.firstMadeAfter(ctx, to); err != nil {
		t.Fatal(err)
	}
	calm := summarize(between(decoded.sightings(), from, to))
	o := u.mustUpdate(ctx, t, b, remote.ResultPromoted)
	busy := summarize(between(decoded.sightings(), u.sent, u.written))
	t.Logf("FIGURE %s: the stream before an update: %v", u.board, calm)
	t.Logf("FIGURE %s: the stream while it comes and is written: %v", u.board, busy)
	if busy.p95 > 2*calm.p95 {
		slow = append(slow, fmt.Sprintf("camera to decoded p95 %v, want at most twice %v", busy.p95, calm.p95))
	}
	if busy.fps < calm.fps*4/5 {
		slow = append(slow, fmt.Sprintf("%.1f frames a second, want four fifths of %.1f", busy.fps, calm.fps))
	}
	took := time.Duration(o.Seconds * float64(time.Second))
	if most := u.slower.limit(takes); took > most {
		slow = append(slow, fmt.Sprintf("it took %v, want %v at most", took, most))
	}
	if busy.unreadable != 0 || busy.backwards != 0 {
		t.Errorf("%d pictures unreadable, %d backwards while %s came", busy.unreadable, busy.backwards, version)
	}
	return slow
}

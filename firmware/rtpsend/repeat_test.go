// What leaves a second time unasked, and what does not.

package rtpsend

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
)

// lossy sends n frames of a packet each, of which the receiver asks for one of every; 0: of none.
func (r *rig) lossy(t *testing.T, n, every int) {
	t.Helper()
	for i := range n {
		r.frame(t, false, 1000)
		if every > 0 && i%every == 0 {
			r.feed(t, nack(r.history.next-1))
		}
		time.Sleep(33 * time.Millisecond)
	}
}

func TestAnswerToARequestLeavesASecondTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, false, 2500)
		r.feed(t, nack(65535))
		synctest.Wait()
		if n := r.left(); n != 3 {
			t.Errorf("%d packets left at once, want two and one again", n)
		}
		time.Sleep(repeatAfter)
		synctest.Wait()
		if n := r.left(); n != 4 {
			t.Fatalf("%d packets left %v later, want 4", n, repeatAfter)
		}
		time.Sleep(time.Second)
		all := r.media.packets
		if diff := cmp.Diff(all[2], all[3]); diff != "" || len(all) != 4 {
			t.Errorf("%d packets, want 4; the second copy differs:\n%s", len(all), diff)
		}
		if got := r.Stats().Resends; got.Sent != 2 || got.Twice != 1 {
			t.Errorf("%+v, want two sent, one of them unasked", got)
		}
	})
}

func TestKeyFrameLeavesTwiceOnlyWherePacketsAreLostByChance(t *testing.T) {
	for name, c := range map[string]struct {
		every int // one packet of so many is asked for
		want  int // packets of the key frame, of two packets
	}{"nothing lost": {0, 2}, "4 %": {25, 4}, "half": {2, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.Close()
				r.lossy(t, 600, c.every)
				time.Sleep(time.Second)
				before := r.left()
				r.frame(t, true, 2500)
				time.Sleep(30 * time.Millisecond)
				if got := r.left() - before; got != c.want {
					t.Errorf("%d packets for the key frame, want %d: %+v", got, c.want, r.Stats().Resends)
				}
				r.frame(t, false, 2500)
				time.Sleep(30 * time.Millisecond)
				if got := r.left() - before - c.want; got != 2 {
					t.Errorf("%d packets for the frame after it, want 2", got)
				}
			})
		})
	}
}

// Half of the packets lost is a full queue: requests are answered, and no more than that.
func TestWhereTooMuchIsLostNothingLeavesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.lossy(t, 300, 2)
		time.Sleep(time.Second)
		before := r.Stats().Resends
		r.lossy(t, 100, 2)
		time.Sleep(time.Second)
		if got := r.Stats().Resends; got.Twice != before.Twice || got.Sent == before.Sent {
			t.Errorf("%+v after %+v", got, before)
		}
	})
}

func TestNothingLeavesTwiceIntoAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{TransportID: 5})
		defer r.Close()
		for i := range 14 {
			if i == 4 {
				r.feed(t, told(0, 1, 21, 41, 61))
			}
			r.frame(t, false, 1000)
			time.Sleep(20 * time.Millisecond)
		}
		r.feed(t, told(4, 81, 101)) // 160 ms after it left
		r.feed(t, nack(2))          // before what arrived: lost
		time.Sleep(time.Second)
		if got := r.Stats().Resends; got.Sent != 1 || got.Twice != 0 {
			t.Errorf("%+v, want one sent", got)
		}
	})
}

func TestRepeatsWaitInOrderAndAreBounded(t *testing.T) {
	var r repeats
	if w := r.wait(5); w != 0 {
		t.Errorf("wait of none %v", w)
	}
	for round := range 3 { // around the ring
		at := time.Duration(round) * time.Second
		for i := range maxRepeats + 5 {
			r.add(at+time.Duration(i), uint16(i))
		}
		if w := r.wait(at); w != repeatAfter {
			t.Errorf("the first waits %v, want %v", w, repeatAfter)
		}
		for i := range maxRepeats {
			due := at + time.Duration(i) + repeatAfter
			if _, ok := r.take(due - 1); ok {
				t.Fatalf("round %d: %d came too early", round, i)
			}
			if got, ok := r.take(due); !ok || got != uint16(i) {
				t.Fatalf("round %d: got %d, %v, want %d", round, got, ok, i)
			}
		}
		if _, ok := r.take(at + time.Hour); ok {
			t.Fatalf("round %d: more than %d", round, maxRepeats)
		}
	}
}

// A flood of requests for different packets is answered twice within the same bound.
func TestRepeatsShareTheBoundOfResends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		start := time.Now()
		for time.Since(start) < 10*time.Second {
			for range 4 {
				r.frame(t, false, 1400)
				time.Sleep(8 * time.Millisecond)
			}
			next := r.history.next
			r.feed(t, rtcp.Packet(nack(next-1, next-2, next-3, next-4)))
		}
		got := r.Stats().Resends
		if limit := uint64(DefaultBandwidth / 8 / 4 * 11); got.Octets > limit || got.Limited == 0 {
			t.Errorf("%+v: want at most %d octets sent again", got, limit)
		}
	})
}

// The request for a key frame may be what was lost.
func TestLossyPathGetsAKeyFrameUnasked(t *testing.T) {
	for name, c := range map[string]struct {
		every int // one packet of so many is asked for
		want  bool
	}{"nothing lost": {0, false}, "4 %": {25, true}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer r.Close()
			r.lossy(t, 600, c.every)
			r.frame(t, true, 1000)
			time.Sleep(refresh - time.Millisecond)
			if r.KeyFrameWanted() {
				t.Errorf("%s: a key frame is wanted too early", name)
			}
			time.Sleep(time.Millisecond)
			if got := r.KeyFrameWanted(); got != c.want {
				t.Errorf("%s: a key frame is wanted after %v: %v, want %v", name, refresh, got, c.want)
			}
		})
	}
}

// When a key frame is wanted: the policy in plain time, and the Sender that obeys it.

package rtpsend

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestKeyFramesAreSpacedByTheRoundTrip(t *testing.T) {
	var k keyFrames
	const ms = time.Millisecond
	take := func(now, rtt time.Duration, lossy bool) bool {
		return k.grantNext(now, receiverView{rtt: rtt, lossy: lossy, file: true})
	}
	steps := []struct {
		name string
		do   func() bool
		want bool
	}{
		{"nobody asked", func() bool { return take(0, 0, false) }, false},
		{"the first request at once", func() bool { k.request(); return take(0, 0, false) }, true},
		{"too early", func() bool { k.request(); return take(299*ms, 0, false) }, false},
		{"kept until its time", func() bool { return take(300*ms, 0, false) }, true},
		{"a long round trip spaces more", func() bool { k.request(); return take(900*ms, 700*ms, false) }, false},
		{"until it is over", func() bool { return take(1000*ms, 700*ms, false) }, true},
		{"a key frame sent unasked answers it",
			func() bool { k.request(); k.noteSent(1100 * ms); return take(5000*ms, 0, false) }, false},
		{"unasked, too early", func() bool { return take(1099*ms+lossyInterval, 0, true) }, false},
		{"unasked, on a path that loses nothing", func() bool { return take(1100*ms+lossyInterval, 0, false) }, false},
		{"unasked, on one that loses by chance", func() bool { return take(1100*ms+lossyInterval, 0, true) }, true},
	}
	for _, s := range steps {
		if got := s.do(); got != s.want {
			t.Errorf("%s: %v, want %v", s.name, got, s.want)
		}
	}
}

// Seen in the loss lab: a request for a key frame that was lost left the picture broken for
// 3 s, until the next loss.
func TestKeyFrameComesForAPacketAskedForTooLate(t *testing.T) {
	const ms, rtt = time.Millisecond, 60 * time.Millisecond
	for _, c := range []struct {
		name string
		do   func(k *keyFrames)
		when time.Duration // of the key frame; 0: none within 10 s
	}{
		{"in time", func(k *keyFrames) { k.noteLateRequest(3000*ms, 190*ms, rtt) }, 0},
		{"too late", func(k *keyFrames) { k.noteLateRequest(3000*ms, 191*ms, rtt) }, 3300 * ms},
		{"of a queue", func(k *keyFrames) { k.noteLateRequest(3000*ms, 500*ms, rtt) }, 0},
		{"soon after a key frame", func(k *keyFrames) {
			k.noteLateRequest(2900*ms, 200*ms, rtt)
			k.sentAt = 2000 * ms
		}, 4000 * ms},
		{"again and again", func(k *keyFrames) {
			k.noteLateRequest(3000*ms, 200*ms, rtt)
			k.noteLateRequest(3250*ms, 200*ms, rtt)
		}, 3300 * ms},
		{"with a key frame behind it", func(k *keyFrames) {
			k.noteLateRequest(3000*ms, 200*ms, rtt)
			k.noteSent(3100 * ms)
		}, 0},
		{"with a request behind it", func(k *keyFrames) { k.noteLateRequest(3000*ms, 200*ms, rtt); k.request() },
			3020 * ms},
	} {
		var k keyFrames
		k.noteSent(1000 * ms)
		c.do(&k)
		at := time.Duration(0)
		for now := 3020 * ms; now < 13*time.Second && at == 0; now += 20 * ms {
			if k.grantNext(now, receiverView{rtt: rtt, file: true}) {
				at = now
			}
		}
		if at != c.when {
			t.Errorf("%s: a key frame at %v, want %v", c.name, at, c.when)
		}
	}
}

// Janus asks for a key frame; when its viewers have left, ffplay may stand in its place.
func TestKeyFramesComeUnaskedUntilSomebodyAsksAndAgainWhenNobodyIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 100)
		ask := func() {
			t.Helper()
			want := r.Stats().PLIs + 1
			r.feed(t, pli(testSSRC))
			synctest.Wait()
			if got := r.Stats().PLIs; got != want {
				t.Fatalf("%d PLIs heard, want %d", got, want)
			}
		}
		step := func(what string, d time.Duration, want bool) {
			t.Helper()
			time.Sleep(d)
			now := r.cfg.Monotonic()
			r.keyFrames.noteFrame(now, false)
			got := r.KeyFrameWanted()
			if got != want {
				t.Errorf("%s: key frame wanted: %v, want %v", what, got, want)
			}
			if got {
				r.keyFrames.noteFrame(now, true)
			}
		}
		step("nobody has asked, too early", unaskedInterval-1, false)
		step("nobody has asked", 1, true)
		ask()
		step("a PLI", time.Second, true)
		step("after a PLI", unaskedInterval, false)
		step("still heard of", askerTimeout-unaskedInterval-time.Second-1, false)
		step("silent", time.Second+2, true)
		step("silent, too early", unaskedInterval-1, false)
		step("silent for longer", 1, true)
		ask()
		step("there again", time.Second, true)
		step("after that", unaskedInterval, false)
	})
}

// A path that loses packets has key frames unasked, too. That is no sign that this receiver
// can ask for one.
func TestKeyFrameForALossyPathIsNoRequestOfTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 100)
		r.lossy(t, 60, 6) // the receiver lacks ten of them
		if got := r.Stats().Resends.Asked; got != 10 {
			t.Fatalf("%d packets asked for, want 10", got)
		}
		time.Sleep(3 * time.Second)
		now := r.cfg.Monotonic()
		r.keyFrames.noteFrame(now, true)
		if !r.KeyFrameWanted() {
			t.Fatal("no key frame is wanted 5 s after the last one on a path that loses packets")
		}
		if r.keyFrames.canAsk {
			t.Error("the receiver passes for one that asks for key frames")
		}
	})
}

func TestForcedKeyFrameComesAtOnceAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 100)
		r.ForceKeyFrame()
		if !r.KeyFrameWanted() {
			t.Error("no key frame is wanted")
		}
		if r.KeyFrameWanted() {
			t.Error("it is wanted twice")
		}
	})
}

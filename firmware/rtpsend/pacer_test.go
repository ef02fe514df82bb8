// The pacer in plain time, and the Sender that obeys it.

package rtpsend

import (
	"testing"
	"testing/synctest"
	"time"
)

// leave passes a frame of n packets of size bytes to p at now, and gives when each left.
func leave(p *pacer, now, captured time.Duration, n, size int) (at []time.Duration) {
	p.frame(now, captured, n*size)
	for range n {
		for w := p.wait(now, size); w > 0; w = p.wait(now, size) {
			now += w
		}
		at = append(at, now)
	}
	p.idle()
	return at
}

func TestPacerSpreadsLargeFramesOverAtMostAnInterval(t *testing.T) {
	const interval = time.Second / 30
	for _, c := range []struct {
		name     string
		packets  int // of 1,250 bytes
		most     time.Duration
		atOnce   int
		interval time.Duration
	}{
		{"a frame of the mean size leaves at once", 2, 0, 2, interval},
		{"twice the mean leaves at once", 4, 0, 4, interval},
		{"three times the mean takes the pace", 6, 14 * time.Millisecond, 4, interval},
		{"a key frame is faster than the pace, and done in an interval", 15, interval + time.Microsecond, 4, interval},
		{"the largest key frame, too", 100, interval + time.Microsecond, 4, interval},
		{"at 5 fps the pace rules, within longestSpread", 15, longestSpread + time.Microsecond, 4, 200 * time.Millisecond},
		{"a second frame of the same moment has no time", 15, 0, 15, 0},
	} {
		p := newPacer(600_000, false)
		now := time.Hour
		leave(&p, now, now, 1, 100)
		now += time.Second
		at := leave(&p, now, time.Hour+c.interval, c.packets, 1250)
		if took := at[len(at)-1] - now; took > c.most {
			t.Errorf("%s: took %v, want at most %v", c.name, took, c.most)
		}
		n := 0
		for _, one := range at {
			if one == now {
				n++
			}
		}
		if n != c.atOnce {
			t.Errorf("%s: %d packets left at once, want %d", c.name, n, c.atOnce)
		}
	}
}

func TestPacerNeverExceedsItsBurst(t *testing.T) {
	p := newPacer(600_000, false)
	now := time.Duration(0)
	var at []time.Duration
	for i := range 300 {
		n := 2
		if i%60 == 0 {
			n = 15
		}
		captured := time.Duration(i) * time.Second / 30
		now = max(now, captured)
		left := leave(&p, now, captured, n, 1250)
		now = left[len(left)-1]
		at = append(at, left...)
	}
	for i := range at { // in any 5 ms: the burst, and what a key frame's rate adds
		n := 0
		for j := i; j < len(at) && at[j]-at[i] < 5*time.Millisecond; j++ {
			n++
		}
		if n > 4+3 {
			t.Fatalf("%d packets within 5 ms from %v on, want at most 7", n, at[i])
		}
	}
}

func TestKeyFrameIsSpreadAndInOrderAndTheNextFrameFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, false, 1000)
		time.Sleep(33 * time.Millisecond)
		r.frame(t, true, 20_000)
		if n := r.left(); n < 3 || n > 6 {
			t.Errorf("%d packets left at once, want about 4 of a key frame of 14", n)
		}
		time.Sleep(33 * time.Millisecond)
		r.frame(t, false, 1000)
		if n := r.left(); n != 1+14+1 {
			t.Errorf("%d packets after the next frame, want 16", n)
		}
		for i, p := range r.media.packets {
			if p.SequenceNumber != uint16(65534+i) {
				t.Errorf("packet %d has number %d", i, p.SequenceNumber)
			}
		}
	})
}

func TestUnpacedFramesLeaveAtOnceAndCloseSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast := newRigWith(t, Config{Unpaced: true})
		defer fast.Close()
		fast.frame(t, true, 100_000)
		fast.frame(t, true, 100_000)
		if n := fast.left(); n < 140 {
			t.Errorf("%d packets left at once, want all of 140", n)
		}
		slow := newRig(t)
		slow.frame(t, true, 100_000)
		before := slow.left()
		if err := slow.Close(); err != nil {
			t.Error(err)
		}
		if n := len(slow.media.packets); before == n || n != 70 {
			t.Errorf("%d packets before Close, %d after, want fewer than 70 and 70", before, n)
		}
	})
}

// BenchmarkFrame is the sender's part of a frame at 640x480 and 600 kbit/s: cut, keep,
// pace, send to a socket of memory.
func BenchmarkFrame(b *testing.B) {
	r := newBenchRig(b)
	frame := make([]byte, 2500)
	at := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		at += 33 * time.Millisecond
		r.begin(at, at, false)
		var sent tally
		if err := r.queue(frame, uint32(at), 0, false, &sent); err != nil {
			b.Fatal(err)
		}
		r.pacer.frame(at, at, r.history.queued)
		if _, err := r.flush(at, &sent); err != nil {
			b.Fatal(err)
		}
		r.account(at, &sent)
	}
}

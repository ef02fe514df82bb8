// The Sender that obeys its pacer.

package rtpsend

import (
	"testing"
	"testing/synctest"
	"time"
)

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
		var sent tally
		r.beginFrame(at, at, false, &sent.log)
		if _, err := r.queueFrame(frame, uint32(at), 0, false, &sent); err != nil {
			b.Fatal(err)
		}
		r.pacer.BeginFrame(at, at, r.queue.history.WaitingBytes())
		if _, err := r.sendQueued(at, &sent); err != nil {
			b.Fatal(err)
		}
		r.account(at, &sent)
	}
}

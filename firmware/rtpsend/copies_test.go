// What leaves a second time unasked, and what does not.

package rtpsend

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
)

// lossy sends n frames of a packet each, of which the receiver asks for one of every; 0: of none.
func (r *rig) lossy(t *testing.T, n, every int) {
	t.Helper()
	for i := range n {
		r.frame(t, false, 1000)
		if every > 0 && i%every == 0 {
			r.feed(t, nack(r.queue.history.NextSequence()-1))
		}
		time.Sleep(33 * time.Millisecond)
	}
}

// newLossyRig is a rig behind a path that has lost one packet of every for 20 s.
func newLossyRig(t *testing.T, every int) *rig {
	t.Helper()
	r := newRig(t)
	r.lossy(t, 600, every)
	time.Sleep(time.Second) // the last copy has left, the bucket of resends is full
	return r
}

func TestAnswerToARequestLeavesASecondTime(t *testing.T) {
	const copyDelay = 10 * time.Millisecond // as in resend
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, false, 2500)
		r.feed(t, nack(65535))
		synctest.Wait()
		if n := r.left(); n != 3 {
			t.Errorf("%d packets left at once, want two and one again", n)
		}
		time.Sleep(copyDelay)
		synctest.Wait()
		if n := r.left(); n != 4 {
			t.Fatalf("%d packets left %v later, want 4", n, copyDelay)
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
				r := newLossyRig(t, c.every)
				defer r.Close()
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

// Key frames of the largest size, as often as they may be asked for: what the receiver lacks
// comes before their copies, and all of it within the bound.
func TestCopiesOfKeyFramesLeaveRoomForWhatIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLossyRig(t, 25)
		defer r.Close()
		before := r.Stats().Resends
		for i := range 300 { // 10 s
			key := i%9 == 0
			if key {
				r.frame(t, true, 22_000)
			} else {
				r.frame(t, false, 1000)
			}
			time.Sleep(33 * time.Millisecond)
			if i%9 == 8 {
				r.feed(t, nack(r.queue.history.NextSequence()-1))
				synctest.Wait()
			}
		}
		time.Sleep(time.Second)
		got := r.Stats().Resends
		asked, octets := got.Asked-before.Asked, got.Octets-before.Octets
		answered := (got.Sent - before.Sent) - (got.Twice - before.Twice)
		if asked != 33 || answered != asked {
			t.Errorf("%d of %d requests answered: %+v", answered, asked, got)
		}
		if limit := uint64(DefaultBandwidth / 8 / 4 * 12); octets > limit || got.Limited == before.Limited ||
			got.Twice < before.Twice+50 {
			t.Errorf("%+v: want copies, but at most %d octets sent again", got, limit)
		}
	})
}

// Near the owner's rate copies stay away, and what the receiver asks for still leaves.
func TestCopiesLeaveRoomForPicturesUnderTheCeiling(t *testing.T) {
	const rate, size = 300_000, 2500 // a key frame of two packets
	for name, c := range map[string]struct {
		room int // in bytes, when the key frame comes
		want int // packets of it, one of which is asked for
	}{"room for all, and each twice": {rate / 8, 6}, "room for what is asked for": {2*size + 500, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRigWith(t, Config{Ceiling: NewCeiling(rate)})
				defer r.Close()
				r.lossy(t, 600, 25)
				time.Sleep(time.Second)
				room, _ := r.ceiling.Room(r.cfg.Monotonic())
				r.ceiling.NoteSent(r.cfg.Monotonic(), room-c.room)
				before := r.left()
				r.frame(t, true, size)
				time.Sleep(30 * time.Millisecond)
				r.feed(t, nack(r.queue.history.NextSequence()-1))
				time.Sleep(30 * time.Millisecond)
				if got := r.left() - before; got != c.want {
					t.Errorf("%d packets, want %d: %+v", got, c.want, r.Stats().Resends)
				}
			})
		})
	}
}

// A packet of a key frame that is asked for before its copy left leaves three times, not four.
func TestPacketOfAKeyFrameThatIsAskedForLeavesNoThirdCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLossyRig(t, 25)
		defer r.Close()
		before := r.left()
		r.frame(t, true, 1000)
		r.feed(t, nack(r.queue.history.NextSequence()-1))
		time.Sleep(time.Second)
		if got := r.left() - before; got != 3 {
			t.Errorf("%d packets, want the frame, the answer and its copy", got)
		}
	})
}

// Both copies of a key frame are lost: what is asked for then is worth two as well.
func TestAnswerBehindBothCopiesOfAKeyFrameLeavesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLossyRig(t, 25)
		defer r.Close()
		before := r.left()
		r.frame(t, true, 1000)
		time.Sleep(100 * time.Millisecond)
		r.feed(t, nack(r.queue.history.NextSequence()-1))
		time.Sleep(time.Second)
		if got := r.left() - before; got != 4 {
			t.Errorf("%d packets, want frame and copy, answer and copy", got)
		}
	})
}

// Who sent transport feedback is gone, and it told of a queue last.
func TestReceiverWithoutFeedbackBehindOneThatHadItGetsWhatItAsksFor(t *testing.T) {
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
		r.feed(t, told(4, 81, 101)) // a queue
		time.Sleep(8 * time.Second) // feedbackTimeout in departures
		r.frame(t, false, 1000)
		r.feed(t, nack(r.queue.history.NextSequence()-1))
		synctest.Wait()
		if got := r.Stats().Resends; got.Sent != 1 || got.Early != 0 {
			t.Errorf("%+v, want the packet sent again", got)
		}
	})
}

// With transport feedback it is known what was lost: where nothing was, a request is about a
// packet that is late.
func TestNothingLeavesTwiceWhereFeedbackTellsThatAllArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{TransportID: 5})
		defer r.Close()
		for i := range 40 {
			r.frame(t, false, 1000)
			time.Sleep(20 * time.Millisecond)
			r.feed(t, told(uint16(i), 20*i))
			r.feed(t, nack(r.queue.history.NextSequence()-1))
		}
		time.Sleep(time.Second)
		if got := r.Stats().Resends; got.Twice != 0 || got.Sent == 0 {
			t.Errorf("%+v, want what is asked for once", got)
		}
	})
}

// The receiver's host answers echo requests late: there is a queue on the path.
func TestNothingLeavesTwiceIntoAQueueThatEchoesTellOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		echo := func(took time.Duration) { now := r.cfg.Monotonic(); r.departures.NoteEcho(now, now-took, 0) }
		for _, c := range []struct {
			name string
			took time.Duration
			want uint64 // copies
		}{
			{"no queue", 20 * time.Millisecond, 1},
			{"a queue", 200 * time.Millisecond, 0},
			{"none any more", 25 * time.Millisecond, 1},
		} {
			before := r.Stats().Resends.Twice
			r.frame(t, false, 1000)
			echo(c.took)
			time.Sleep(200 * time.Millisecond)
			if echo(c.took); c.want == 1 {
				echo(5 * c.took) // one that is late says nothing
			}
			r.feed(t, nack(r.queue.history.NextSequence()-1))
			time.Sleep(time.Second)
			if got := r.Stats().Resends.Twice - before; got != c.want {
				t.Errorf("%s: %d copies, want %d", c.name, got, c.want)
			}
		}
	})
}

// Under SRTP a packet that is sent again bears the transport-wide number of its first time.
// No number may be missing that was never on the wire.
func TestCopiesUnderSRTPAreNotMissing(t *testing.T) {
	path := &diary{}
	r := newRigWith(t, Config{
		TransportID: 5, SRTP: testKeys(ProfileGCM, 1), Path: path, Unpaced: true,
		First: &First{SSRC: testSSRC, Sequence: 100},
	})
	out := &tape{}
	r.Sender.wire.conn = out
	at := time.Hour
	frame := func() {
		t.Helper()
		at += 20 * time.Millisecond
		sent := tally{at: at}
		if _, err := r.queueFrame(make([]byte, 1000), 0, 0, false, &sent); err != nil {
			t.Fatal(err)
		}
		if _, err := r.sendQueued(at, &sent); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		frame()
	}
	for range 2 { // an answer, and its copy
		sent := tally{at: at}
		if err := r.sendAgain(r.kept(t, 101), &sent); err != nil {
			t.Fatalf("%+v, %v", sent, err)
		}
	}
	if got := r.resender.TakeCounts().Sent; got != 2 {
		t.Fatalf("%d packets sent again, want 2", got)
	}
	frame() // bears 4: what was sent again bore 1
	f, ok := feedback.Parse(marshal(t, told(0, 1, -1, 41, 61, 300)))
	if !ok || !r.departures.NoteArrivals(at, &f.Arrived) {
		t.Fatal("the feedback is not what it says")
	}
	r.departures.NoteAnswer(101)
	lines := len(path.lines)
	if f, ok = feedback.Parse(marshal(t, told(1, 320))); !ok || !r.departures.NoteArrivals(at, &f.Arrived) {
		t.Fatal("the feedback is not what it says")
	}
	if more := path.lines[lines:]; len(more) != 0 {
		t.Errorf("the path heard %q of an answer that arrived, want nothing", more)
	}
	missing := 0
	for _, line := range path.lines {
		if strings.Contains(line, "missing") {
			missing++
		}
	}
	if len(out.packets) != 7 || path.sent != 7 || missing != 1 ||
		!strings.Contains(path.lines[len(path.lines)-1], ", 0 in flight") {
		t.Errorf("%d packets, %d heard of, %d missing, want 7, 7 and 1, none in flight:\n%s", len(out.packets),
			path.sent, missing, strings.Join(path.lines, "\n"))
	}
}

// The request for a key frame may be what was lost.
func TestLossyPathGetsAKeyFrameUnasked(t *testing.T) {
	for name, c := range map[string]struct {
		every int // one packet of so many is asked for
		want  bool
	}{"nothing lost": {0, false}, "4 %": {25, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				defer r.Close()
				r.lossy(t, 600, c.every)
				r.frame(t, true, 1000)
				time.Sleep(lossyInterval - time.Millisecond)
				if r.KeyFrameWanted() {
					t.Error("a key frame is wanted too early")
				}
				time.Sleep(time.Millisecond)
				if got := r.KeyFrameWanted(); got != c.want {
					t.Errorf("a key frame is wanted after %v: %v, want %v", lossyInterval, got, c.want)
				}
			})
		})
	}
}

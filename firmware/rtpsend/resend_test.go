// What a NACK brings back, and what bounds it.

package rtpsend

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
)

func nack(sequences ...uint16) rtcp.Packet {
	return &rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: testSSRC,
		Nacks: rtcp.NackPairsFromSequenceNumbers(sequences)}
}

func TestNACKBringsBackTheSamePacketsAcrossTheWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t) // starts at 65534
		defer r.Close()
		for range 3 {
			r.frame(t, false, 4000)
			time.Sleep(100 * time.Millisecond)
		}
		r.feed(t, nack(65535, 0, 3))
		synctest.Wait()
		again := r.media.packets[9:]
		if len(again) != 3 {
			t.Fatalf("%d packets sent again, want 3: %+v", len(again), r.Stats().Resends)
		}
		for i, want := range []int{1, 2, 5} {
			if diff := cmp.Diff(r.media.packets[want], again[i]); diff != "" {
				t.Errorf("packet %d is not what it was (-was +is):\n%s", want, diff)
			}
		}
		got := r.Stats()
		if want := (resend.Counts{Asked: 3, Sent: 3, Octets: got.Resends.Octets}); got.NACKs != 1 ||
			got.Resends != want || got.Packets != 9 {
			t.Errorf("%+v, want 9 packets and 3 more sent again", got)
		}
	})
}

func TestPacketAskedForTooLateBringsAKeyFrameInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 1000)
		time.Sleep(3 * time.Second)
		r.frame(t, false, 1000) // 65535
		time.Sleep(200 * time.Millisecond)
		r.feed(t, nack(65535))
		synctest.Wait()
		if r.KeyFrameWanted() {
			t.Error("a key frame is wanted at once: the receiver's own request may be on its way")
		}
		time.Sleep(lateRequestWait)
		if !r.KeyFrameWanted() {
			t.Errorf("no key frame is wanted: %+v", r.Stats())
		}
	})
}

func TestRTXPacketsHaveTheirOwnStreamAndTheOldNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{RTX: true, First: &First{SSRC: testSSRC, Sequence: 65534, RTXSSRC: 99,
			RTXSequence: 65535}})
		defer r.Close()
		r.frame(t, true, 4000)
		r.feed(t, nack(65535, 0))
		synctest.Wait()
		for i, p := range r.media.packets[3:] {
			was := r.media.packets[1+i]
			osn := binary.BigEndian.Uint16(p.Payload)
			if p.PayloadType != packet.RTXPayloadType || p.SSRC != 99 || p.SequenceNumber != uint16(65535+i) ||
				p.Marker != was.Marker ||
				p.Timestamp != was.Timestamp || osn != was.SequenceNumber || !bytes.Equal(p.Payload[2:], was.Payload) {
				t.Errorf("RTX packet %d: %+v of %d, from %+v", i, p.Header, osn, was.Header)
			}
		}
		if got := r.Stats().Resends; got.Sent != 2 {
			t.Errorf("%+v, want 2 sent", got)
		}
		for _, p := range r.media.packets {
			if n := 12 + len(p.Payload); n > packet.MaxSize {
				t.Errorf("packet of %d bytes, at most %d fit", n, packet.MaxSize)
			}
		}
	})
}

func TestOnlyPacketsThatWereSentAndAreKeptComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.receive(marshal(t, nack(65534, 7)), peer) // before the first frame
		for range resend.HistorySize + 10 {         // one packet each, from 65534 on
			r.frame(t, false, 100)
			time.Sleep(time.Millisecond)
		}
		next := r.queue.history.NextSequence()
		r.feed(t, nack(next-resend.HistorySize-1, next-resend.HistorySize, next-1, next, next+100))
		synctest.Wait()
		got := r.Stats().Resends
		if got.Sent != 2 || got.Gone != 5 {
			t.Errorf("%+v, want the oldest and the newest of %d sent, 3 gone and 2 before the first", got,
				resend.HistorySize)
		}
	})
}

func TestFloodOfNACKsIsBoundedByAQuarterOfTheBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		start := time.Now()
		for time.Since(start) < 10*time.Second {
			r.frame(t, false, 2500)
			next := r.queue.history.NextSequence()
			var all []uint16
			for i := range uint16(300) {
				all = append(all, next-300+i)
			}
			r.feed(t, nack(all...), nack(all...))
			time.Sleep(time.Second / 30)
		}
		got := r.Stats().Resends
		limit := uint64(DefaultBandwidth / 8 / 4 * 11) // ten seconds, and one that was saved up
		if got.Octets > limit || got.Octets < limit/2 || got.Limited == 0 {
			t.Errorf("%+v: %d octets sent again in 10 s, want at most %d", got, got.Octets, limit)
		}
	})
}

func TestRepeatedRequestWithinARoundTripIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, false, 1000)
		lsr := middle(r.lastSR(t).NTPTime)
		time.Sleep(100 * time.Millisecond)
		r.feed(t, reception(rtcp.ReceptionReport{SSRC: testSSRC, LastSenderReport: lsr}))
		for range 5 { // at 0, 30, 60, 90 and 120 ms with a round trip of 100
			r.feed(t, nack(65534))
			time.Sleep(30 * time.Millisecond)
		}
		if got := r.Stats().Resends; got.Sent != 3 || got.Twice != 1 || got.Early != 3 {
			t.Errorf("%+v, want two sent at once and one after the round trip, 3 too early", got)
		}
		r.feed(t, nack(65534)) // 30 ms after that one, which left alone
		time.Sleep(30 * time.Millisecond)
		r.feed(t, nack(65534)) // and 60
		synctest.Wait()
		if got := r.Stats().Resends; got.Sent != 4 || got.Early != 4 {
			t.Errorf("%+v, want one more too early, and one sent after half a round trip", got)
		}
	})
}

func TestResendsAndFramesAllocateNothing(t *testing.T) {
	r := newBenchRig(t)
	request := marshal(t, nack(65534, 65535, 0, 1))
	frame := make([]byte, 4000)
	at := time.Duration(0)
	r.SetRate(1e9) // so that all that is asked for, and a copy, leaves each time
	each := testing.AllocsPerRun(200, func() {
		at += 33 * time.Millisecond
		var sent tally
		r.MustHold()
		r.beginFrame(at, at, false, &sent.log)
		if _, err := r.queueFrame(frame, 0, 0, false, &sent); err != nil {
			t.Fatal(err)
		}
		if _, err := r.sendQueued(at, &sent); err != nil {
			t.Fatal(err)
		}
		r.readCompound(request, len(request), peer.Port(), at, &sent.log)
		if err := r.sendAnswers(at, &sent); err != nil {
			t.Fatal(err)
		}
		r.resender.QueueCopy(at, r.queue.history.NextSequence()-1)
		if _, err := r.sendCopies(at+10*time.Millisecond, &sent); err != nil {
			t.Fatal(err)
		}
		r.account(at, &sent)
	})
	if got := r.Stats().Resends; each != 0 || got.Twice < 200 || got.Sent < got.Twice+4*200 {
		t.Errorf("%v allocations for a frame and its resends, want 0: %+v", each, got)
	}
}

// discard is a media connection that takes everything.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) Renew() error                { return nil }
func (discard) MTU() int                    { return 0 }
func (discard) Close() error                { return nil }

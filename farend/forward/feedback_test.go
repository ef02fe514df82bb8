package forward

import (
	"log/slog"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/stream"
)

// alone is a sink without a way out.
func alone() *sink {
	f := &Forwarder{
		config:    Config{Now: time.Now, Log: slog.New(slog.DiscardHandler)},
		keyFrames: newKeyFrameRequests(func(string) {}),
	}
	return newSink(f, &Rule{From: "all", RTP: "h:2"}, stream.Grant{ID: "s"}, "", "")
}

func TestABrokenMessageCostsNoOther(t *testing.T) {
	b, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.PictureLossIndication{}, &rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := alone()
	s.takeDatagram(append([]byte{0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1}, b...), noon) // an FIR without an entry
	if st := s.state(); st.PLIs != 1 || st.REMBs != 1 || st.Malformed != 1 {
		t.Errorf("%+v, want a PLI, a REMB and what is malformed", st)
	}
}

// A player that says nothing gets key frames, one that reports asks for its own.
func TestAReceiverThatSaysNothingGetsKeyFramesInTime(t *testing.T) {
	s := alone()
	requests := func(after time.Duration) int {
		s.serveSilent(noon.Add(after))
		return len(s.forwarder.keyFrames.in)
	}
	for _, c := range []struct {
		after  time.Duration
		report bool // before it
		want   int  // requests so far
	}{
		{0, false, 1}, {silentInterval - 1, false, 1}, {silentInterval, false, 2},
		{2 * silentInterval, true, 2}, {2*silentInterval + silentAfter - 1, false, 2},
		{2*silentInterval + silentAfter, false, 3},
	} {
		if c.report {
			s.takeFeedback([]rtcp.Packet{&rtcp.ReceiverReport{}}, noon.Add(c.after))
		}
		if got := requests(c.after); got != c.want {
			t.Errorf("after %v: %d requests, want %d", c.after, got, c.want)
		}
	}
}

func FuzzWhateverComesAsRTCPIsReadInItsBounds(f *testing.F) {
	nack, _ := rtcp.Marshal([]rtcp.Packet{
		&rtcp.TransportLayerNack{Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{1, 2, 40})}, &rtcp.ReceiverReport{},
	})
	f.Add(nack)
	f.Add([]byte{0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := alone()
		s.takeDatagram(b, noon)
		if st := s.state(); st.Resent != 0 || st.NACKs > uint64(17*len(b)) {
			t.Errorf("%+v", st)
		}
	})
}

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

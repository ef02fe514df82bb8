package rtpsend

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
)

func remb(bitrate float32, ssrcs ...uint32) rtcp.Packet {
	return &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: bitrate, SSRCs: ssrcs}
}

func TestWhatTheReceiverCanTakeReachesThePath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := &diary{}
		r := newRigWith(t, Config{Path: path})
		defer r.Close()
		r.frame(t, true, 1000)
		// From Janus 1.1.2 and Chromium 156: mantissa 154771, exponent 3.
		r.receive([]byte{
			0x8f, 206, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B',
			1, 3<<2 | 154771>>16, 154771 >> 8 & 0xff, 154771 & 0xff, 0x12, 0x34, 0x56, 0x78,
		}, peer)
		r.receive(marshal(t, remb(64_000, 7, testSSRC), remb(262_143, testSSRC), remb(1<<33, testSSRC)), peer)
		r.receive([]byte{
			0x8f, 206, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 'R', 'E', 'M', 'B',
			1, 0xfc, 0, 0, 0x12, 0x34, 0x56, 0x78, // 0 * 2^63
		}, peer)
		want := []string{
			"at most 1238168 bit/s", "at most 64000 bit/s", "at most 262143 bit/s",
			"at most 8589934592 bit/s", "at most 0 bit/s",
		}
		if diff := cmp.Diff(want, path.lines); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		if got := r.Stats(); got.Estimates != 5 || got.Ignored != (Ignored{}) {
			t.Errorf("%+v, want five estimates and nothing ignored", got)
		}
	})
}

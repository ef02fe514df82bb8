package rtpsend

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

func TestSenderWithholdsFramesAndGoesOnWithAKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 100)
		r.feed(t, reception(rtcp.ReceptionReport{SSRC: testSSRC, LastSequenceNumber: 65534}))
		for range 20 * 30 {
			time.Sleep(time.Second / 30)
			r.frame(t, false, 100)
		}
		got := r.Stats()
		if got.Breaks != 1 || got.Withheld < 4*30 || got.Withheld > 6*30 {
			t.Errorf("%+v, want one break after 15 s and 5 s withheld", got)
		}
		r.feed(t, &rtcp.ReceiverReport{SSRC: 1}) // without a word about us: it does not know us yet
		synctest.Wait()
		before := r.left()
		r.frame(t, false, 100)
		if r.left() != before+1 || !r.KeyFrameWanted() {
			t.Errorf("%d packets, want the stream to go on with a wish for a key frame", r.left()-before)
		}
	})
}

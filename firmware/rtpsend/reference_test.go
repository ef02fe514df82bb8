package rtpsend

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

// A receiver that sends nothing but reports learns the round trip from the echo of its own time.
func TestReportEchoesTheReceiversReferenceTimeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 1000)
		r.feed(t, &rtcp.ReceiverReport{SSRC: 7}, &rtcp.ExtendedReport{SenderSSRC: 7, Reports: []rtcp.ReportBlock{
			&rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 0x1122334455667788},
		}})
		heard := r.cfg.Monotonic()
		before := len(r.reports.sent)
		for range 20 {
			r.frame(t, false, 1000)
			time.Sleep(200 * time.Millisecond)
		}
		var echoes []rtcp.DLRRReport
		var kept time.Duration
		for _, s := range r.reports.sent[before:] {
			for _, p := range s.parts {
				if x, ok := p.(*rtcp.ExtendedReport); ok {
					echoes = append(echoes, x.Reports[0].(*rtcp.DLRRReportBlock).Reports...)
					kept = s.at - heard
				}
			}
		}
		if len(echoes) != 1 || echoes[0].SSRC != 7 || echoes[0].LastRR != 0x33445566 ||
			echoes[0].DLRR != uint32(kept.Seconds()*65536) {
			t.Errorf("%+v, want one that was kept %v", echoes, kept)
		}
		if n := r.Stats().Ignored.OtherType; n != 0 {
			t.Errorf("%d packets ignored", n)
		}
	})
}

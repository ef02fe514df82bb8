package feedback

import (
	"testing"

	"github.com/pion/rtcp"
)

func TestReferenceTimeIsReadWithoutAllocation(t *testing.T) {
	b := marshal(t, &rtcp.ExtendedReport{SenderSSRC: 7, Reports: []rtcp.ReportBlock{
		&rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{{SSRC: 1}}},
		&rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 0x1122334455667788},
	}})
	var m Message
	var ok bool
	allocations := testing.AllocsPerRun(100, func() { m, ok = Parse(b) })
	if !ok || m.Kind != ReferenceTime || m.Sender != 7 || m.Reference != 0x33445566 || allocations != 0 {
		t.Errorf("%+v, %v with %v allocations", m, ok, allocations)
	}
}

// FuzzReferenceTime: what pion reads of reference times is read alike.
func FuzzReferenceTime(f *testing.F) {
	f.Add(marshal(f, &rtcp.ExtendedReport{SenderSSRC: 7, Reports: []rtcp.ReportBlock{
		&rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 1 << 40},
	}})[HeaderSize:])
	f.Add([]byte{0, 0, 0, 7, 4, 0, 0, 9})
	f.Fuzz(func(t *testing.T, body []byte) {
		body = body[:min(len(body)/4*4, 1400)]
		b := append([]byte{2 << 6, byte(rtcp.TypeExtendedReport), 0, byte(len(body) / 4)}, body...)
		b[2] = byte(len(body) / 4 >> 8)
		got, ok := Parse(b)
		var p rtcp.ExtendedReport
		if p.Unmarshal(b) != nil || !ok {
			return
		}
		for _, block := range p.Reports {
			r, is := block.(*rtcp.ReceiverReferenceTimeReportBlock)
			if is && r.TypeSpecific == 0 && r.BlockLength == 2 && got.Kind != ReferenceTime {
				t.Errorf("% x: %+v, pion reads %+v", b, got, r)
			}
		}
	})
}

package packet

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func TestAReportIsWhatPionReads(t *testing.T) {
	for _, cname := range []string{"", "a", "ab", "abc", "abcd", NewCNAME()} {
		b := AppendReport(nil, 0xfedcba98, cname, SenderReport{
			Now: time.Unix(0, 500_000_000), Stamp: 7, Packets: 3, Bytes: 4, Bye: true,
		})
		all, err := rtcp.Unmarshal(b)
		if err != nil || len(all) != 3 {
			t.Fatalf("CNAME %q: %d packets, %v", cname, len(all), err)
		}
		sr, bye := all[0].(*rtcp.SenderReport), all[2].(*rtcp.Goodbye)
		item := all[1].(*rtcp.SourceDescription).Chunks[0].Items[0]
		if sr.SSRC != 0xfedcba98 || sr.NTPTime != ntpEpoch<<32|1<<31 || sr.RTPTime != 7 || sr.PacketCount != 3 ||
			sr.OctetCount != 4 || item.Text != cname || item.Type != rtcp.SDESCNAME || bye.Sources[0] != 0xfedcba98 {
			t.Errorf("CNAME %q: %+v %+v %+v", cname, sr, item, bye)
		}
	}
}

func TestAStampOfAnyTimeFollowsFromThatOfAFrame(t *testing.T) {
	p := ClockPoint{0xffffffff, noon}
	if got := p.StampAt(noon.Add(time.Second)); got != 89999 {
		t.Errorf("a second later: %d, want 89999", got)
	}
}

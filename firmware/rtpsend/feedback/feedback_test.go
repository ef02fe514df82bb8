// What pion writes is read; what rtpsend makes of it, and of what nobody wrote, is tested there.

package feedback

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pion/rtcp"
)

const ssrc = 0x12345678

func marshal(t testing.TB, parts ...rtcp.Packet) []byte {
	t.Helper()
	b, err := rtcp.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMessagesOfACompoundAreReadInOrder(t *testing.T) {
	b := marshal(t,
		&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{
			SSRC: ssrc, FractionLost: 64, TotalLost: 0xffffff, LastSequenceNumber: 1<<16 | 5,
			Jitter: 900, LastSenderReport: 7, Delay: 8,
		}}},
		rtcp.NewCNAMESourceDescription(1, "x"),
		&rtcp.PictureLossIndication{MediaSSRC: ssrc},
		&rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: ssrc, SequenceNumber: 3}, {SSRC: 9}}},
		&rtcp.RapidResynchronizationRequest{MediaSSRC: ssrc},
		&rtcp.SenderReport{SSRC: 1},
		&rtcp.Goodbye{Sources: []uint32{1}},
	)
	want := []Message{
		{Kind: Reports, Reports: []Report{{
			SSRC: ssrc, Loss: 0.25, Lost: -1, HighestSequence: 1<<16 | 5, Jitter: 900, LastSR: 7, Delay: 8,
		}}},
		{Kind: Description},
		{Kind: PictureLoss, Media: ssrc},
		{Kind: IntraRequest, Sender: 1, Intra: []FullIntra{{ssrc, 3}, {9, 0}}},
		{Kind: Other},
		{Kind: Reports},
		{Kind: Goodbye},
	}
	if !IsCompound(b) {
		t.Fatal("pion's compound is none")
	}
	var got []Message
	for part := []byte(nil); len(b) > 0; {
		part, b = Split(b)
		m, ok := Parse(part)
		if !ok {
			t.Errorf("% x is not what it says", part)
		}
		got = append(got, m)
	}
	unexported := cmpopts.IgnoreUnexported(Sequences{}, Arrivals{}, Bitrate{})
	if diff := cmp.Diff(want, got, unexported, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}

func TestEstimateCountsForItsStreamsOnly(t *testing.T) {
	m, ok := Parse(marshal(t, &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 64_000,
		SSRCs: []uint32{7, ssrc}}))
	if !ok || m.Kind != MaxBitrate || m.Bitrate.Most != 64_000 {
		t.Fatalf("%+v, %v", m, ok)
	}
	for stream, want := range map[uint32]bool{7: true, ssrc: true, 8: false, 0: false} {
		if got := m.Bitrate.IsAbout(stream); got != want {
			t.Errorf("about %d: %v, want %v", stream, got, want)
		}
	}
}

func TestNackNamesPacketsAcrossTheWrap(t *testing.T) {
	want := []uint16{65530, 65535, 0, 9}
	b := marshal(t, &rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(want)})
	m, ok := Parse(b)
	if got := slices.Collect(m.Missing.All()); !ok || m.Media != ssrc || !slices.Equal(got, want) {
		t.Errorf("%v of %#x, %v, want %v", got, m.Media, ok, want)
	}
}

func TestNacksAndArrivalsAreReadWithoutAllocation(t *testing.T) {
	nack := marshal(t, &rtcp.TransportLayerNack{MediaSSRC: ssrc,
		Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{1, 2, 40})})
	arrivals := part(rtcp.TypeTransportSpecificFeedback, transportFormat,
		[]byte{0, 0, 0, 1, 0x12, 0x34, 0x56, 0x78, 0, 3, 0, 2, 0, 3, 0xe8, 0, 0x20, 2, 4, 4})
	n := 0
	if each := testing.AllocsPerRun(100, func() {
		m, _ := Parse(nack)
		for range m.Missing.All() {
			n++
		}
		m, ok := Parse(arrivals)
		for more := ok; more; n++ {
			_, more, ok = m.Arrived.Next()
		}
		if !ok {
			t.Error("the message about arrivals is not what it says")
		}
	}); each != 0 || n != 101*(3+3) {
		t.Errorf("%v allocations, %d packets named", each, n)
	}
}

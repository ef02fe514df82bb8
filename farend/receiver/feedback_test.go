package receiver

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// number gives datagrams transport-wide numbers from first on.
func number(t *testing.T, packets [][]byte, first int) [][]byte {
	t.Helper()
	for i, b := range packets {
		var p rtp.Packet
		if err := p.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
		n := first + i
		if err := p.SetExtension(transportID, []byte{byte(n >> 8), byte(n)}); err != nil {
			t.Fatal(err)
		}
		var err error
		if packets[i], err = p.Marshal(); err != nil {
			t.Fatal(err)
		}
	}
	return packets
}

// statuses says which numbers feedback calls arrived.
func statuses(packets []rtcp.Packet) (messages int, arrived map[uint16]bool) {
	arrived = map[uint16]bool{}
	for _, p := range packets {
		cc, ok := p.(*rtcp.TransportLayerCC)
		if !ok {
			continue
		}
		messages++
		n, left := cc.BaseSequenceNumber, cc.PacketStatusCount
		status := func(kind uint16) {
			if left > 0 {
				arrived[n] = kind != rtcp.TypeTCCPacketNotReceived
				n++
				left--
			}
		}
		for _, c := range cc.PacketChunks {
			switch c := c.(type) {
			case *rtcp.RunLengthChunk:
				for range c.RunLength {
					status(c.PacketStatusSymbol)
				}
			case *rtcp.StatusVectorChunk:
				for _, kind := range c.SymbolList {
					status(kind)
				}
			}
		}
	}
	return messages, arrived
}

func TestArrivalsOfNumberedPacketsAreTold(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		packets := number(t, b.frame(i == 0, uint32(i*3000)), 65534+3*i)
		if i == 1 {
			b.send(packets, 1)
		} else {
			b.send(packets)
		}
		b.report(0, 0) // from which the receiver learns where to answer
		b.wait(40 * time.Millisecond)
	}
	b.wait(60 * time.Millisecond)
	messages, arrived := statuses(b.rtcpOut.take(t))
	want := map[uint16]bool{65534: true, 65535: true, 0: true, 1: true, 2: false, 3: true, 4: true, 5: true, 6: true,
		7: true, 8: true, 9: true}
	if diff := cmp.Diff(want, arrived); diff != "" {
		t.Errorf("(-sent +told):\n%s", diff)
	}
	if messages < 3 || messages > 4 || b.Stats().Feedback != uint64(messages) {
		t.Errorf("%d messages in 220 ms, %d counted, want one each 60 ms", messages, b.Stats().Feedback)
	}
}

func TestSourceThatNumbersNothingIsToldNothing(t *testing.T) {
	b := newBench(t)
	for i := range 4 {
		b.send(b.frame(i == 0, uint32(i*3000)))
		b.report(0, 0)
		b.wait(100 * time.Millisecond)
	}
	if messages, _ := statuses(b.rtcpOut.take(t)); messages != 0 {
		t.Errorf("%d messages", messages)
	}
}

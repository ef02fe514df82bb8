// Transport-wide feedback; pion's parser is the oracle.

package feedback

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtcp"
)

// part is one RTCP packet of that type and count around body, which is cut to words.
func part(kind rtcp.PacketType, count uint8, body []byte) []byte {
	body = body[:len(body)/4*4]
	b := append([]byte{2<<6 | count&0x1f, byte(kind), 0, 0}, body...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(body)/4))
	return b
}

func TestFeedbackAboutMorePacketsThanWereKeptIsRefused(t *testing.T) {
	body := []byte{0, 0, 0, 1, 0x12, 0x34, 0x56, 0x78, 0, 0, 0xff, 0xff, 0, 0, 0, 0}
	for range 8 {
		body = append(body, 0x1f, 0xff) // 8,191 packets that did not arrive
	}
	if _, ok := parseTransport(part(rtcp.TypeTransportSpecificFeedback, transportFormat,
		append(body, 0x00, 0x10, 0, 0))); ok {
		t.Error("65,535 statuses are read: at 100 messages a second that is a processor's work")
	}
}

func FuzzTransportFeedback(f *testing.F) {
	for _, seed := range []string{ // from pion: packets 3 to 6, of which 4 is missing; 65535 to 1
		"0000000112345678000300040003e800d280040164feac01",
		"0000000112345678ffff00030003e800d500040404000003",
	} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0, 0, 0, 1, 0x12, 0x34, 0x56, 0x78, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0x3f, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1500-HeaderSize {
			return
		}
		b := part(rtcp.TypeTransportSpecificFeedback, transportFormat, body)
		m, ok := parseTransport(b)
		var got []string
		for ok {
			packet, more, good := m.Arrived.Next()
			if ok = good; !more || !good {
				break
			}
			if packet.Received {
				got = append(got, fmt.Sprint(packet.Number, packet.At))
			}
		}
		var p rtcp.TransportLayerCC
		if err := p.Unmarshal(b); err != nil || !ok {
			return // pion refuses a message in which nothing arrived
		}
		if diff := cmp.Diff(arrivals(&p), got); diff != "" {
			t.Errorf("(-pion +ours):\n%s", diff)
		}
	})
}

// arrivals is what pion makes of feedback.
func arrivals(p *rtcp.TransportLayerCC) (all []string) {
	reference := int32(p.ReferenceTime<<8) >> 8
	at := time.Duration(reference) * 64 * time.Millisecond
	number, left, deltas := p.BaseSequenceNumber, int(p.PacketStatusCount), p.RecvDeltas
	status := func(kind uint16) {
		if left == 0 {
			return
		}
		if kind == rtcp.TypeTCCPacketReceivedSmallDelta || kind == rtcp.TypeTCCPacketReceivedLargeDelta {
			at += time.Duration(deltas[0].Delta) * time.Microsecond
			deltas = deltas[1:]
			all = append(all, fmt.Sprint(number, at))
		}
		number++
		left--
	}
	for _, c := range p.PacketChunks {
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
	return all
}

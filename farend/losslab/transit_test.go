//go:build linux

package losslab

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// packet is one that passed at a time, known by its bytes.
func packet(at time.Duration, bytes string) mediaPacket {
	return mediaPacket{at: at, size: 1000, datagram: []byte(bytes)}
}

func TestMatchFindsLossDelayAndWhichCopyCame(t *testing.T) {
	for _, c := range []struct {
		name       string
		sent, came []mediaPacket
		want       []time.Duration // -1: lost
	}{
		{"one came, one did not", []mediaPacket{packet(0, "a"), packet(1*ms, "b")}, []mediaPacket{packet(5*ms, "a")},
			[]time.Duration{5 * ms, -1}},
		{"overtaken", []mediaPacket{packet(0, "a"), packet(1*ms, "b")},
			[]mediaPacket{packet(3*ms, "b"), packet(9*ms, "a")}, []time.Duration{9 * ms, 2 * ms}},
		{"lost and sent again", []mediaPacket{packet(0, "a"), packet(100*ms, "a")},
			[]mediaPacket{packet(105*ms, "a")}, []time.Duration{-1, 5 * ms}},
		{"both copies came", []mediaPacket{packet(0, "a"), packet(100*ms, "a")},
			[]mediaPacket{packet(5*ms, "a"), packet(107*ms, "a")}, []time.Duration{5 * ms, 7 * ms}},
		{"sent again while the first was in the queue", []mediaPacket{packet(0, "a"), packet(100*ms, "a")},
			[]mediaPacket{packet(300*ms, "a"), packet(350*ms, "a")}, []time.Duration{300 * ms, 250 * ms}},
		{"the second copy was lost", []mediaPacket{packet(0, "a"), packet(100*ms, "a")},
			[]mediaPacket{packet(5*ms, "a")}, []time.Duration{5 * ms, -1}},
		{"doubled by the link", []mediaPacket{packet(0, "a")}, []mediaPacket{packet(5*ms, "a"), packet(6*ms, "a")},
			[]time.Duration{5 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, got := range matchTransits(c.sent, c.came) {
				if lost := c.want[i] < 0; got.arrived == lost || !lost && got.duration != c.want[i] {
					t.Errorf("packet %d: arrived %v after %v, want %v", i, got.arrived, got.duration, c.want[i])
				}
			}
		})
	}
}

func TestShortestIgnoresPacketsThatMayBeAnothersCopy(t *testing.T) {
	// The copy of 20 ms was lost: the arrival at 21 ms is the first one's.
	all := matchTransits([]mediaPacket{packet(0, "a"), packet(20*ms, "a"), packet(0, "b")},
		[]mediaPacket{packet(21*ms, "a"), packet(25*ms, "b")})
	if got := shortestTransit(all); got != 25*ms {
		t.Errorf("shortest = %v, want 25ms", got)
	}
	if got := shortestTransit(nil); got != 0 {
		t.Errorf("shortest of nothing = %v, want 0", got)
	}
}

//go:build linux

package losslab

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// packet is one that passed at a time, known by its bytes.
func packet(at time.Duration, bytes string) media {
	return media{at: at, size: 1000, whole: []byte(bytes)}
}

func TestMatchFindsLossDelayAndWhichCopyCame(t *testing.T) {
	for _, c := range []struct {
		name       string
		sent, came []media
		want       []time.Duration // -1: lost
	}{
		{"one came, one did not", []media{packet(0, "a"), packet(1*ms, "b")}, []media{packet(5*ms, "a")}, []time.Duration{5 * ms, -1}},
		{"overtaken", []media{packet(0, "a"), packet(1*ms, "b")}, []media{packet(3*ms, "b"), packet(9*ms, "a")}, []time.Duration{9 * ms, 2 * ms}},
		{"lost and sent again", []media{packet(0, "a"), packet(100*ms, "a")}, []media{packet(105*ms, "a")}, []time.Duration{-1, 5 * ms}},
		{"both copies came", []media{packet(0, "a"), packet(100*ms, "a")}, []media{packet(5*ms, "a"), packet(107*ms, "a")}, []time.Duration{5 * ms, 7 * ms}},
		{"sent again while the first was in the queue", []media{packet(0, "a"), packet(100*ms, "a")}, []media{packet(300*ms, "a"), packet(350*ms, "a")}, []time.Duration{300 * ms, 250 * ms}},
		{"the second copy was lost", []media{packet(0, "a"), packet(100*ms, "a")}, []media{packet(5*ms, "a")}, []time.Duration{5 * ms, -1}},
		{"doubled by the link", []media{packet(0, "a")}, []media{packet(5*ms, "a"), packet(6*ms, "a")}, []time.Duration{5 * ms}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, got := range match(c.sent, c.came) {
				if lost := c.want[i] < 0; got.arrived == lost || !lost && got.took != c.want[i] {
					t.Errorf("packet %d: arrived %v after %v, want %v", i, got.arrived, got.took, c.want[i])
				}
			}
		})
	}
}

func TestShortestIgnoresPacketsThatMayBeAnothersCopy(t *testing.T) {
	// The copy of 20 ms was lost: the arrival at 21 ms is the first one's.
	all := match([]media{packet(0, "a"), packet(20*ms, "a"), packet(0, "b")}, []media{packet(21*ms, "a"), packet(25*ms, "b")})
	if got := shortest(all); got != 25*ms {
		t.Errorf("shortest = %v, want 25ms", got)
	}
	if got := shortest(nil); got != 0 {
		t.Errorf("shortest of nothing = %v, want 0", got)
	}
}

package receiver

import (
	"testing"
	"time"
)

func TestSequenceCountsAsAppendixAWants(t *testing.T) {
	for _, c := range []struct {
		name           string
		seqs           []uint16
		expected       uint64
		lost           int64
		reordered      uint64
		fraction       uint8
		highest, total uint32
	}{
		{"in order", []uint16{10, 11, 12}, 3, 0, 0, 0, 12, 0},
		{"over the wrap", []uint16{65534, 65535, 0, 1}, 4, 0, 0, 0, 1<<16 + 1, 0},
		{"half lost", []uint16{0, 2, 4, 6}, 7, 3, 0, 3 * 256 / 7, 6, 3},
		{"one overtaken", []uint16{0, 2, 1, 3}, 4, 0, 1, 0, 3, 0},
		{"one overtaken over the wrap", []uint16{65535, 1, 0}, 3, 0, 1, 0, 1<<16 + 1, 0},
		{"one twice", []uint16{0, 1, 1}, 2, -1, 0, 0, 1, 0xffffff},
		{"a stray is left out", []uint16{0, 30000, 1}, 2, 0, 0, 0, 1, 0},
		{"two in a row are a new start", []uint16{0, 1, 30000, 30001, 30002}, 4, 0, 0, 0, 30002, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sequence
			for _, seq := range c.seqs {
				s.takeNumber(seq)
			}
			if s.expectedCount() != c.expected || s.lostCount() != c.lost || s.reordered != c.reordered {
				t.Errorf("expected %d lost %d reordered %d, want %d %d %d", s.expectedCount(), s.lostCount(),
					s.reordered, c.expected, c.lost, c.reordered)
			}
			if fraction, total, highest := s.endInterval(); fraction != c.fraction || highest != c.highest ||
				total != c.total {
				t.Errorf("report = %d %#x %#x, want %d %#x %#x", fraction, total, highest, c.fraction, c.total,
					c.highest)
			}
			if fraction, _, _ := s.endInterval(); fraction != 0 {
				t.Errorf("fraction of an empty interval = %d, want 0", fraction)
			}
		})
	}
}

func TestJitterIsTheSmoothedDifferenceOfTransits(t *testing.T) {
	var s sequence
	for i := range uint32(1000) { // every second packet 160 ticks late
		s.updateJitter(0xfffffff0+i*3000+i%2*160, i*3000)
	}
	if s.jitter < 158 || s.jitter > 160 {
		t.Errorf("jitter = %v ticks, want 160", s.jitter)
	}
}

func TestTicksGoOnForYears(t *testing.T) {
	for _, at := range []time.Duration{0, 1<<64/clockRate - 5*time.Millisecond, 10 * 365 * 24 * time.Hour} {
		if got := ticks(at+10*time.Millisecond) - ticks(at); got != 900 {
			t.Errorf("10 ms after %v are %d ticks, want 900", at, got)
		}
	}
}

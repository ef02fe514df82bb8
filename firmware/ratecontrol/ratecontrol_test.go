package ratecontrol

import (
	"testing"
	"time"
)

func TestBottleneckIsSeenDrainedAndLeftAgain(t *testing.T) {
	for _, test := range []struct {
		name       string
		path       path
		late, back time.Duration
	}{
		{"transport feedback", path{transport: true, nack: true}, 700 * ms, 5 * time.Second},
		{"transport feedback, 50 ms away with jitter", path{transport: true, nack: true, delay: 50 * ms, jitter: 10 * ms}, 900 * ms, 6 * time.Second},
		{"reports of the feedback profile", path{nack: true, reports: 500 * ms}, 2500 * ms, 10 * time.Second},
		{"reports each 5 s 0", path{nack: true, reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second},
		{"reports each 5 s 1", path{nack: true, first: time.Second, reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second},
		{"reports each 5 s 2", path{nack: true, first: 2 * time.Second, reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second},
		{"reports each 5 s 3", path{nack: true, first: 3 * time.Second, reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second},
		{"reports each 5 s 4", path{nack: true, first: 4 * time.Second, reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second},
		{"reports each 5 s, no requests", path{reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second},
		{"reports each 5 s, no requests 2", path{reports: 5 * time.Second, first: 2 * time.Second}, 8 * time.Second, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.path
			p.capacity = step(1.06e6, 0.4e6, 20*time.Second, 30*time.Second)
			p.queue = 2 * time.Second
			p.delay = max(p.delay, 5*ms)
			r := p.play(t, 1_000_000, 50*time.Second)
			late, back, gap := r.above(300*ms, 20*time.Second), r.reaches(900_000, 30*time.Second), r.longestGap()
			t.Logf("above 300 ms for %v, back after %v, longest gap %v, held %d, %v", late, back, gap, r.held, r.c.Cuts())
			for i := 0; i < len(r.rate); i += 15 {
				t.Logf("%5.1f s: rate %4.0f sent %4.0f queue %4.0f ms", float64(i)/30, r.rate[i]/1000, r.sent[i]/1000, r.delay[i]*1000)
			}
			if late > test.late || back > test.back || gap > time.Second {
				t.Errorf("above 300 ms for %v, want at most %v; back after %v, want %v; longest gap %v, want 1s", late, test.late, back, test.back, gap)
			}
		})
	}
}

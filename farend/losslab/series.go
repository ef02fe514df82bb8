//go:build linux

// A run over time. Pure.

package losslab

import "time"

// seriesStep is the step of a Series: six pictures.
const seriesStep = 200 * time.Millisecond

// A Series has one value for each step since the run's start. Rates are kbit/s of IP packets,
// delays ms.
type Series struct {
	Step     float64   `json:"step"` // seconds
	Sent     []float64 `json:"sent_kbit"`
	Came     []float64 `json:"came_kbit"`
	Lost     []int     `json:"lost"`     // packets, by the time they were sent
	Resent   []int     `json:"resent"`   // packets
	Queue    []float64 `json:"queue_ms"` // the longest, above the fastest packet, by arrival
	Pictures []int     `json:"pictures"` // new ones that were decoded
	Delay    []float64 `json:"delay_ms"` // of those, the longest
}

// makeSeries sorts packets and pictures into steps, up to end.
func makeSeries(end time.Duration, all []transit, pictures []shownPicture) Series {
	n := max(int((end+seriesStep-1)/seriesStep), 1)
	s := Series{
		Step: seriesStep.Seconds(), Sent: make([]float64, n), Came: make([]float64, n),
		Lost: make([]int, n), Resent: make([]int, n),
		Queue: make([]float64, n), Pictures: make([]int, n), Delay: make([]float64, n),
	}
	at := func(d time.Duration) (int, bool) { return int(d / seriesStep), d >= 0 && int(d/seriesStep) < n }
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()/100) / 10 }
	kbit := func(bytes int) float64 { return float64(bytes*8) / 1000 / seriesStep.Seconds() }
	base := shortestTransit(all)
	for _, p := range all {
		if i, ok := at(p.at); ok {
			s.Sent[i] += kbit(p.size)
			if p.repeated {
				s.Resent[i]++
			}
			if !p.arrived {
				s.Lost[i]++
			}
		}
		if i, ok := at(p.at + p.duration); ok && p.arrived {
			s.Came[i] += kbit(p.size)
			s.Queue[i] = max(s.Queue[i], ms(p.duration-base))
		}
	}
	for _, p := range pictures {
		if i, ok := at(p.at); ok {
			s.Pictures[i]++
			s.Delay[i] = max(s.Delay[i], ms(p.delay))
		}
	}
	return s
}

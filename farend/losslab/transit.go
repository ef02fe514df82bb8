//go:build linux

// Transits: which packet of one end is which of the other, and how long it took. Pure.

package losslab

import "time"

// A transit is one sent packet and when it came, if it did.
type transit struct {
	mediaPacket
	arrived  bool
	duration time.Duration
	sentOnce bool // its bytes were sent once, so that its match is sure
}

// matchTransits finds each sent packet among those that came. Equal bytes may have been sent
// several times: if all copies came, they are matched in order, else each arrival is the last one
// sent before it that has no arrival yet. Copies that the link made are not counted.
func matchTransits(sent, came []mediaPacket) []transit {
	arrivals := map[string][]time.Duration{}
	for _, m := range came {
		arrivals[string(m.datagram)] = append(arrivals[string(m.datagram)], m.at)
	}
	departures := map[string][]int{}
	out := make([]transit, len(sent))
	for i, m := range sent {
		out[i].mediaPacket = m
		departures[string(m.datagram)] = append(departures[string(m.datagram)], i)
	}
	for bytes, of := range departures {
		at := arrivals[bytes]
		out[of[0]].sentOnce = len(of) == 1
		if len(at) >= len(of) {
			for n, i := range of {
				out[i].arrived, out[i].duration = true, at[n]-out[i].at
			}
			continue
		}
		for _, t := range at {
			for n := len(of) - 1; n >= 0; n-- {
				if o := &out[of[n]]; !o.arrived && o.at <= t {
					o.arrived, o.duration = true, t-o.at
					break
				}
			}
		}
	}
	return out
}

// shortestTransit is the time of the fastest packet: the link without its queue. A packet that
// was sent again a moment before the first copy came looks faster than it was.
func shortestTransit(all []transit) time.Duration {
	least := time.Duration(-1)
	for _, t := range all {
		if t.arrived && t.sentOnce && (least < 0 || t.duration < least) {
			least = t.duration
		}
	}
	return max(least, 0)
}

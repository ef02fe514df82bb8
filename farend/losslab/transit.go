//go:build linux

// Transit: which packet of one end is which of the other, and how long it took. Pure.

package losslab

import "time"

// A transit is one sent packet and when it came, if it did.
type transit struct {
	media
	arrived bool
	took    time.Duration
	once    bool // its bytes were sent once, so that its match is sure
}

// match finds each sent packet among those that came. Equal bytes may have been sent
// several times: if all copies came, in order, else each arrival is the last one sent
// before it that is still free. Copies that the link made are not counted.
func match(sent, came []media) []transit {
	arrivals := map[string][]time.Duration{}
	for _, m := range came {
		arrivals[string(m.whole)] = append(arrivals[string(m.whole)], m.at)
	}
	departures := map[string][]int{}
	out := make([]transit, len(sent))
	for i, m := range sent {
		out[i].media = m
		departures[string(m.whole)] = append(departures[string(m.whole)], i)
	}
	for bytes, of := range departures {
		at := arrivals[bytes]
		out[of[0]].once = len(of) == 1
		if len(at) >= len(of) {
			for n, i := range of {
				out[i].arrived, out[i].took = true, at[n]-out[i].at
			}
			continue
		}
		for _, t := range at {
			for n := len(of) - 1; n >= 0; n-- {
				if o := &out[of[n]]; !o.arrived && o.at <= t {
					o.arrived, o.took = true, t-o.at
					break
				}
			}
		}
	}
	return out
}

// shortest is the time of the fastest packet: the link without its queue. A packet that
// was sent again a moment before the first copy came looks faster than it was.
func shortest(all []transit) time.Duration {
	least := time.Duration(-1)
	for _, t := range all {
		if t.arrived && t.once && (least < 0 || t.took < least) {
			least = t.took
		}
	}
	return max(least, 0)
}

//go:build linux

// Relay: UDP from one address to another, with losses, delays and duplicates that a seed
// decides. The kernels of small virtual machines have no netem, and nft's random numbers
// have no seed.

package losslab

import (
	"math/rand"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// An Impairment is what a link does to each packet. Packets that wait for different
// times overtake each other.
type Impairment struct {
	Loss      float64       // 0 to 1
	Duplicate float64       // 0 to 1
	Delay     time.Duration // on average, one way
	Jitter    time.Duration // each packet waits Delay ± Jitter, all values alike
	Clean     time.Duration // no loss before: who lost the first key frame may not ask for it yet
}

// fates decides about one packet after the other. The n-th packet of a seed has the same
// fate in each run, whatever happened to those before it.
type fates struct {
	Impairment
	random *rand.Rand
}

func newFates(i Impairment, seed int64) *fates {
	return &fates{i, rand.New(rand.NewSource(seed))}
}

// next tells how long each copy of the next packet waits, age after the first; none: it
// is lost. It draws as many numbers for each packet, used or not.
func (f *fates) next(age time.Duration) (waits []time.Duration) {
	lost, twice := f.random.Float64() < f.Loss, f.random.Float64() < f.Duplicate
	first, second := f.wait(), f.wait()
	if lost && age >= f.Clean {
		return nil
	}
	if twice {
		return []time.Duration{first, second}
	}
	return []time.Duration{first}
}

func (f *fates) wait() time.Duration {
	return max(f.Delay+time.Duration((2*f.random.Float64()-1)*float64(f.Jitter)), 0)
}

// A relay carries RTP and RTCP from the sender's side to the receiver and RTCP back. It
// answers the sender from the address that the sender sends to: anybody else is a
// stranger to it.
type relay struct {
	flows  []*flow
	sender atomic.Pointer[netip.AddrPort] // where RTCP goes back to
}

// relayConfig names the sockets, each of the link's own space, and where they lead.
type relayConfig struct {
	rtp, rtcp     *net.UDPConn // the sender sends to these
	out, back     *net.UDPConn // RTP leaves by out; the receiver sends RTCP to back
	toRTP, toRTCP netip.AddrPort
	answer        netip.AddrPort // where RTCP goes back to; zero: to where it came from
	impair        Impairment
	seed          int64
}

func startRelay(c relayConfig) *relay {
	r := &relay{}
	// Seeds of their own: how much one flow carries must not decide about another.
	fate := func(n int64) *fates { return newFates(c.impair, 4*c.seed+n) }
	r.flows = []*flow{
		newFlow(c.rtp, fate(0), func(b []byte, _ netip.AddrPort) { _, _ = c.out.WriteToUDPAddrPort(b, c.toRTP) }),
		newFlow(c.rtcp, fate(1), func(b []byte, _ netip.AddrPort) { _, _ = c.back.WriteToUDPAddrPort(b, c.toRTCP) }),
		newFlow(c.back, fate(2), func(b []byte, _ netip.AddrPort) {
			if to := r.sender.Load(); to != nil {
				_, _ = c.rtcp.WriteToUDPAddrPort(b, *to)
			}
		}),
	}
	if c.answer.IsValid() {
		r.sender.Store(&c.answer)
	} else {
		r.flows[1].seen = func(from netip.AddrPort) { r.sender.Store(&from) }
	}
	for _, f := range r.flows {
		f.start()
	}
	return r
}

// close ends all flows and waits for them.
func (r *relay) close() {
	for _, f := range r.flows {
		f.close()
	}
}

//go:build linux

// The relay: UDP from one address to another, with losses, delays and duplicates that a seed
// decides. The kernels of small virtual machines have no netem, and nft's random numbers have no
// seed.

package losslab

import (
	"math/rand"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// An Impairment is what a link does to each packet. Packets that wait for different times
// overtake each other.
type Impairment struct {
	Loss      float64       // 0 to 1
	Duplicate float64       // 0 to 1
	Delay     time.Duration // on average, one way
	Jitter    time.Duration // each packet waits Delay ± Jitter, all values alike
	// nothing is lost before: a receiver that lost the first key frame could not request it yet
	LossFree time.Duration
}

// fates decides about one packet after the other. The n-th packet of a seed has the same fate in
// each run, whatever happened to those before it.
type fates struct {
	Impairment
	random *rand.Rand
}

func newFates(i Impairment, seed int64) *fates {
	return &fates{i, rand.New(rand.NewSource(seed))}
}

// drawWaits says how long each copy of the next packet waits; none: it is lost. age is the time
// since the first packet. It draws the same number of random numbers for each packet, whether
// they are used or not.
func (f *fates) drawWaits(age time.Duration) (waits []time.Duration) {
	lost, twice := f.random.Float64() < f.Loss, f.random.Float64() < f.Duplicate
	first, second := f.drawWait(), f.drawWait()
	if lost && age >= f.LossFree {
		return nil
	}
	if twice {
		return []time.Duration{first, second}
	}
	return []time.Duration{first}
}

func (f *fates) drawWait() time.Duration {
	return max(f.Delay+time.Duration((2*f.random.Float64()-1)*float64(f.Jitter)), 0)
}

// A relay carries RTP and RTCP from the sender's side to the receiver and RTCP back. It answers
// the sender from the address to which the sender sends: camsource ignores any other.
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
	// Each flow has its own seed: how much one carries must not decide about another.
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
		r.flows[1].noteSender = func(from netip.AddrPort) { r.sender.Store(&from) }
	}
	for _, f := range r.flows {
		f.startReading()
	}
	return r
}

// closeFlows ends all flows and waits for them.
func (r *relay) closeFlows() {
	for _, f := range r.flows {
		f.closeFlow()
	}
}

// How the network steers the stream: what the receiver tells comes in from the sender's
// goroutines, the rate goes out to the one that encodes. Owns the lock between them.

package firmware

import (
	"log/slog"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/firmware/ratecontrol"
)

// A network is the controller of one stream, and its sender's Path.
type network struct {
	log    *slog.Logger
	stages *pipeline.Stages

	most int

	mu      sync.Mutex
	advised int // bit/s
	control *ratecontrol.Controller
	cuts    [ratecontrol.Causes]uint64 // as last told
}

func newNetwork(most int, stages *pipeline.Stages, log *slog.Logger) *network {
	return &network{most: most, control: ratecontrol.New(most), stages: stages, log: log}
}

// Advise says at which rate to encode the picture at hand, in bit/s, or to leave it out.
// The rate moves in steps of 2 %: each one makes libvpx and the pacer compute anew.
func (n *network) Advise(now time.Duration) (bitrate int, hold bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	bitrate, hold = n.control.Advise(now)
	n.tell()
	if least := n.advised / 50; bitrate != n.most && max(bitrate, n.advised)-min(bitrate, n.advised) < least {
		return n.advised, hold
	}
	n.advised = bitrate
	return bitrate, hold
}

// Sent notes a packet that left.
func (n *network) Sent(now time.Duration, size, payload int) {
	n.mu.Lock()
	n.control.Sent(now, size, payload)
	n.mu.Unlock()
}

// Arrived notes when a packet arrived, by the receiver's clock.
func (n *network) Arrived(sent, arrived time.Duration, size int) {
	n.mu.Lock()
	n.control.Arrived(sent, arrived, size)
	n.mu.Unlock()
}

// Feedback ends a batch of arrivals.
func (n *network) Feedback(now, newest time.Duration, inFlight int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.control.Feedback(now, newest, inFlight)
	n.tell()
}

// Report notes a reception report.
func (n *network) Report(now time.Duration, loss float64, newest time.Duration, inFlight int, acked uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.control.Report(now, ratecontrol.Report{Loss: loss, Newest: newest, InFlight: inFlight, Acked: acked})
	n.tell()
}

// Echoed notes an answer of the receiver's host.
func (n *network) Echoed(now, sent time.Duration, before uint64, inFlight int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.control.Echo(now, ratecontrol.Echo{Sent: sent, Before: before, InFlight: inFlight})
	n.tell()
}

// Missing notes a packet that the receiver lacks.
func (n *network) Missing(now, sent time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.control.Missing(now, sent)
	n.tell()
}

// Estimate notes what the receiver believes that it can take, in bit/s.
func (n *network) Estimate(now time.Duration, bitrate float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.control.Estimate(now, bitrate)
	n.tell()
}

// tell logs and counts the cuts since the last time. mu is held.
func (n *network) tell() {
	cuts := n.control.Cuts()
	for cause := range ratecontrol.Causes {
		if cuts[cause] == n.cuts[cause] {
			continue
		}
		n.stages.Cuts[cause].Add(int64(cuts[cause] - n.cuts[cause]))
		n.log.Debug("the network cuts the rate", "because", cause, "bit/s", n.control.Rate())
	}
	n.cuts = cuts
}

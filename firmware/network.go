// How the network steers the stream: what the receiver reports comes in from the sender's
// goroutines, the rate goes out to the one that encodes. Owns the lock between them; under it
// only the controller is called, which is pure, and nothing is logged.

package firmware

import (
	"log/slog"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/firmware/ratecontrol"
)

// rateSteps is how many steps there are to a rate, at least: a change below a fiftieth, 2 %, is
// not passed on, because each one makes libvpx and the pacer compute anew.
const rateSteps = 50

// A network is the rate controller of one stream: the Path of its sender, and the adviser of
// its encoder.
type network struct {
	ownerRate int // bit/s
	stages    *pipeline.Stages
	log       *slog.Logger

	mu          sync.Mutex
	controller  *ratecontrol.Controller
	advisedRate int         // bit/s
	counted     cutsByCause // as far as they are in stages and log
}

type cutsByCause = [ratecontrol.Causes]uint64

func newNetwork(ownerRate int, stages *pipeline.Stages, log *slog.Logger) *network {
	return &network{ownerRate: ownerRate, controller: ratecontrol.New(ownerRate), stages: stages, log: log}
}

// Advise says at which rate to encode the picture at hand, in bit/s, or to leave it out.
func (n *network) Advise(now time.Duration) (bitrate int, hold bool) {
	n.update(func(c *ratecontrol.Controller) {
		bitrate, hold = c.Advise(now)
		difference := max(bitrate, n.advisedRate) - min(bitrate, n.advisedRate)
		if bitrate != n.ownerRate && difference < n.advisedRate/rateSteps {
			bitrate = n.advisedRate
		}
		n.advisedRate = bitrate
	})
	return bitrate, hold
}

// Sent notes a packet that left. It cuts nothing.
func (n *network) Sent(now time.Duration, size, payload int) {
	n.mu.Lock()
	n.controller.Sent(now, size, payload)
	n.mu.Unlock()
}

// Arrived notes when a packet arrived, by the receiver's clock. Feedback judges it.
func (n *network) Arrived(sent, arrived time.Duration, size int) {
	n.mu.Lock()
	n.controller.Arrived(sent, arrived, size)
	n.mu.Unlock()
}

// Feedback ends a batch of arrivals.
func (n *network) Feedback(now, newest time.Duration, inFlight int) {
	n.update(func(c *ratecontrol.Controller) { c.Feedback(now, newest, inFlight) })
}

// Report notes a reception report.
func (n *network) Report(now time.Duration, loss float64, newest time.Duration, inFlight int, acked uint64) {
	n.update(func(c *ratecontrol.Controller) {
		c.Report(now, ratecontrol.Report{Loss: loss, Newest: newest, InFlight: inFlight, Acked: acked})
	})
}

// Echoed notes an answer of the receiver's host to an echo request.
func (n *network) Echoed(now, sent time.Duration, before uint64, inFlight int) {
	n.update(func(c *ratecontrol.Controller) {
		c.Echo(now, ratecontrol.Echo{Sent: sent, Before: before, InFlight: inFlight})
	})
}

// Missing notes a packet that the receiver lacks.
func (n *network) Missing(now, sent time.Duration) {
	n.update(func(c *ratecontrol.Controller) { c.Missing(now, sent) })
}

// Estimate notes what the receiver believes that it can take, in bit/s.
func (n *network) Estimate(now time.Duration, bitrate float64) {
	n.update(func(c *ratecontrol.Controller) { c.Estimate(now, bitrate) })
}

// update calls change under the lock; then it counts and logs what that cut of the rate. Neither
// change nor what it captures escapes, so that nothing is allocated for a packet or a picture.
func (n *network) update(change func(*ratecontrol.Controller)) {
	n.mu.Lock()
	change(n.controller)
	before, now, rate := n.counted, n.controller.Cuts(), n.controller.Rate()
	n.counted = now
	n.mu.Unlock()
	for cause := range ratecontrol.Causes {
		if now[cause] == before[cause] {
			continue
		}
		n.stages.Cuts[cause].Add(int64(now[cause] - before[cause]))
		n.log.Debug("the network cuts the rate", "because", cause, "bit/s", rate)
	}
}

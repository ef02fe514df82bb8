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
	bitrate, hold = n.advise(now)
	n.reportCuts()
	return bitrate, hold
}

func (n *network) advise(now time.Duration) (bitrate int, hold bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	bitrate, hold = n.controller.Advise(now)
	difference := max(bitrate, n.advisedRate) - min(bitrate, n.advisedRate)
	if bitrate != n.ownerRate && difference < n.advisedRate/rateSteps {
		bitrate = n.advisedRate
	}
	n.advisedRate = bitrate
	return bitrate, hold
}

// reportCuts counts and logs the cuts since it was called last: before each picture, and once more
// when the stream ends. They are not logged where they happen, because the sender notes what
// happens under locks of its own.
func (n *network) reportCuts() {
	n.mu.Lock()
	before, cuts, rate := n.counted, n.controller.Cuts(), n.controller.Rate()
	n.counted = cuts
	n.mu.Unlock()
	for cause := range ratecontrol.Causes {
		if cuts[cause] == before[cause] {
			continue
		}
		n.stages.Cuts[cause].Add(int64(cuts[cause] - before[cause]))
		n.log.Debug("the network cuts the rate", "because", cause, "bit/s", rate)
	}
}

// NoteSent notes a packet that left.
func (n *network) NoteSent(now time.Duration, size, payload int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.NoteSent(now, size, payload)
}

// NoteArrival notes when a packet arrived, by the receiver's clock. EndArrivals judges it.
func (n *network) NoteArrival(sent, arrived time.Duration, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.NoteArrival(sent, arrived, size)
}

// EndArrivals ends a batch of arrivals.
func (n *network) EndArrivals(now, newest time.Duration, inFlight int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.EndArrivals(now, newest, inFlight)
}

// NoteReport notes a reception report.
func (n *network) NoteReport(now time.Duration, loss float64, newest time.Duration, inFlight int, acked uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.NoteReport(now, ratecontrol.Report{Loss: loss, Newest: newest, InFlight: inFlight, Acked: acked})
}

// NoteEcho notes an answer of the receiver's host to an echo request.
func (n *network) NoteEcho(now, sent time.Duration, before uint64, inFlight int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.NoteEcho(now, ratecontrol.Echo{Sent: sent, Before: before, InFlight: inFlight})
}

// NoteMissing notes a packet that the receiver lacks.
func (n *network) NoteMissing(now, sent time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.NoteMissing(now, sent)
}

// NoteSmallerPackets notes that what was lost so far was too large for the path.
func (n *network) NoteSmallerPackets(now time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.NoteSmallerPackets(now)
}

// NoteEstimate notes what the receiver believes that it can take, in bit/s.
func (n *network) NoteEstimate(now time.Duration, bitrate float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller.NoteEstimate(now, bitrate)
}

//go:build linux

// One run: one sender through one scenario.

package losslab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// A Setup is what all runs of a lab have in common.
type Setup struct {
	Dir            string   // for temporary files
	Clip           string   // stamped (WriteClip), longer than the run
	Camsource      string   // the program
	CamsourceFlags []string // flags for camsource, such as --size
}

// drainTime is how long a run goes on after the part that is counted, so that the last pictures
// arrive; a bottleneck's queue adds to it.
const drainTime = time.Second

var runCount atomic.Int32

// A trace is what was recorded in one run, on the clock of the run.
type trace struct {
	sent, came []mediaPacket
	feedback   Feedback // that reached the sender
	pictures   []sentPicture
	decoded    []Picture
	start      time.Time
}

// A teardown is what ends a run's surroundings, in the reverse order of their start.
type teardown struct {
	steps []func()
}

func (s *teardown) addStep(f func()) { s.steps = append(s.steps, f) }

func (s *teardown) runSteps() {
	for i := len(s.steps) - 1; i >= 0; i-- {
		s.steps[i]()
	}
	s.steps = nil
}

// Run sends the clip through the scenario and measures. It blocks for the scenario's length;
// when ctx ends, it ends everything and returns ctx's error.
func Run(ctx context.Context, setup Setup, s Scenario, sender string, seed int64) (Result, error) {
	t, err := recordRun(ctx, setup, s, sender, seed)
	if err != nil {
		return Result{}, fmt.Errorf("%s, %s, seed %d: %w", s.Name, sender, seed, err)
	}
	if t.pictures, err = identifyPictures(setup.Dir, t.sent); err != nil {
		return Result{}, fmt.Errorf("%s, %s, seed %d: %w", s.Name, sender, seed, err)
	}
	r := measureRun(s, t)
	r.Sender, r.Seed = sender, seed
	return r, nil
}

func recordRun(ctx context.Context, setup Setup, s Scenario, sender string, seed int64) (trace, error) {
	var t trace
	var down teardown
	defer down.runSteps()
	w, err := newNetwork(int(runCount.Add(1)))
	if err != nil {
		return t, err
	}
	down.addStep(w.removeNamespaces)
	if err := impairLink(&down, w, s, sender, seed); err != nil {
		return t, err
	}
	out, in, err := startSniffers(&down, w)
	if err != nil {
		return t, err
	}
	rtx := sender != Camsource
	decoder, pictures, err := startDecoder(&down, w, receiverCommand(s, rtx))
	if err != nil {
		return t, err
	}
	line, err := setup.senderCommand(s, sender)
	if err != nil {
		return t, err
	}
	from, err := startProcess(w.sender, line, nil)
	if err != nil {
		return t, err
	}
	down.addStep(from.endProcess)
	t.start = time.Now()
	if err := playSteps(ctx, w, s, from, decoder); err != nil {
		return t, err
	}
	from.endProcess()
	decoder.endProcess()
	return collectTrace(t, out, in, pictures)
}

// impairLink starts what makes the link bad.
func impairLink(down *teardown, w *network, s Scenario, sender string, seed int64) error {
	if len(s.Steps) > 0 {
		if err := w.setBottleneck(s.Steps[0].Rate, s.Queue); err != nil {
			return err
		}
	}
	if s.NFTLoss > 0 {
		if err := w.dropByNFT(s.NFTLoss); err != nil {
			return err
		}
	}
	var answer netip.AddrPort
	if sender == GStreamer { // its RTCP leaves from another port than where it listens
		answer = netip.AddrPortFrom(senderAddr, feedbackPort)
	}
	relay, err := w.openRelay(s.Link, seed, answer)
	if err != nil {
		return err
	}
	down.addStep(relay.closeFlows)
	return nil
}

// startSniffers starts to record both ends.
func startSniffers(down *teardown, w *network) (out, in *sniffer, err error) {
	err = inNamespace(w.sender, func() error { out, err = startSniffer(senderDevice); return err })
	if err != nil {
		return nil, nil, err
	}
	down.addStep(func() { _, _ = out.stopRecording(); _ = out.closeSocket() })
	err = inNamespace(w.receiver, func() error { in, err = startSniffer(receiverDevice); return err })
	if err != nil {
		return nil, nil, err
	}
	down.addStep(func() { _, _ = in.stopRecording(); _ = in.closeSocket() })
	return out, in, nil
}

// startDecoder starts the receiver and returns once it listens. The channel gives all pictures
// when it has ended.
func startDecoder(down *teardown, w *network, line []string) (*process, <-chan []Picture, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	p, err := startProcess(w.receiver, line, write)
	_ = write.Close()
	if err != nil {
		_ = read.Close()
		return nil, nil, err
	}
	all := make(chan []Picture, 1)
	go func() {
		defer read.Close()
		var got []Picture
		_ = readPictures(read, time.Now, func(p Picture) { got = append(got, p) })
		all <- got
	}()
	down.addStep(p.endProcess)
	return p, all, p.awaitPorts(rtpPort, rtcpPort)
}

// playSteps lets the run go on for its length and sets the bottleneck at each step.
func playSteps(ctx context.Context, w *network, s Scenario, programs ...*process) error {
	start := time.Now()
	until := func(d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-programs[0].done:
			return programs[0].earlyExitError()
		case <-programs[1].done:
			return programs[1].earlyExitError()
		case <-time.After(time.Until(start.Add(d))):
			return nil
		}
	}
	for _, step := range s.Steps[min(1, len(s.Steps)):] {
		if err := until(step.At); err != nil {
			return err
		}
		if err := w.setBottleneck(step.Rate, s.Queue); err != nil {
			return err
		}
	}
	return until(s.Length + s.Queue + drainTime)
}

// collectTrace ends the recordings.
func collectTrace(t trace, out, in *sniffer, pictures <-chan []Picture) (trace, error) {
	sent, err := out.stopRecording()
	came, err2 := in.stopRecording()
	if err := errors.Join(err, err2); err != nil {
		return t, err
	}
	t.sent, t.came, t.decoded = pickMedia(sent, t.start), pickMedia(came, t.start), <-pictures
	t.feedback = countFeedback(sent)
	return t, nil
}

// MakeWorkFolder makes a folder for Setup.Dir that others may read: camsource gives up root.
func MakeWorkFolder() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "losslab-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// WriteClipFor writes the stamped clip that the scenarios need to dir.
func WriteClipFor(dir, film string, scenarios []Scenario) (string, error) {
	var longest time.Duration
	for _, s := range scenarios {
		longest = max(longest, s.Length+s.Queue+drainTime)
	}
	path := filepath.Join(dir, "clip.y4m")
	return path, WriteClip(film, path, int((longest+5*time.Second)/pictureInterval))
}

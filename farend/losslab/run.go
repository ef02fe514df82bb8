//go:build linux

// Run: one sender through one scenario.

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
	Dir       string   // for what a run keeps for a moment
	Clip      string   // stamped (WriteClip), longer than the run
	Camsource string   // the program
	More      []string // flags for camsource, such as --size
}

// tail is how long a run goes on after what is counted, so that the last pictures may
// arrive; a bottleneck's queue adds to it.
const tail = time.Second

var runs atomic.Int32

// A trace is what was recorded in one run, on the clock of the run.
type trace struct {
	sent, came []media
	feedback   Feedback // that reached the sender
	pictures   []sentPicture
	decoded    []Picture
	start      time.Time
}

// A stage is a run's surroundings while it lasts; close takes them down in reverse.
type stage struct {
	closers []func()
}

func (s *stage) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *stage) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// Run sends the clip through the scenario and measures. It blocks for the scenario's
// length; when ctx ends, it takes everything down and returns ctx's error.
func Run(ctx context.Context, setup Setup, s Scenario, sender string, seed int64) (Result, error) {
	t, err := record(ctx, setup, s, sender, seed)
	if err != nil {
		return Result{}, fmt.Errorf("%s, %s, seed %d: %w", s.Name, sender, seed, err)
	}
	if t.pictures, err = identify(setup.Dir, t.sent); err != nil {
		return Result{}, fmt.Errorf("%s, %s, seed %d: %w", s.Name, sender, seed, err)
	}
	r := measure(s, t)
	r.Sender, r.Seed = sender, seed
	return r, nil
}

func record(ctx context.Context, setup Setup, s Scenario, sender string, seed int64) (trace, error) {
	var t trace
	var at stage
	defer at.close()
	w, err := newNetwork(int(runs.Add(1)))
	if err != nil {
		return t, err
	}
	at.onClose(w.close)
	if err := impair(&at, w, s, sender, seed); err != nil {
		return t, err
	}
	out, in, err := sniffers(&at, w)
	if err != nil {
		return t, err
	}
	rtx := sender != Camsource
	decoder, pictures, err := decode(&at, w, receiver(s, rtx))
	if err != nil {
		return t, err
	}
	line, err := setup.line(s, sender)
	if err != nil {
		return t, err
	}
	from, err := launch(w.sender, line, nil)
	if err != nil {
		return t, err
	}
	at.onClose(from.stop)
	t.start = time.Now()
	if err := play(ctx, w, s, from, decoder); err != nil {
		return t, err
	}
	from.stop()
	decoder.stop()
	return collect(t, out, in, pictures)
}

// impair starts what makes the link bad.
func impair(at *stage, w *network, s Scenario, sender string, seed int64) error {
	if len(s.Steps) > 0 {
		if err := w.narrow(s.Steps[0].Rate, s.Queue); err != nil {
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
	relay, err := w.relay(s.Link, seed, answer)
	if err != nil {
		return err
	}
	at.onClose(relay.close)
	return nil
}

// sniffers record both ends.
func sniffers(at *stage, w *network) (out, in *sniffer, err error) {
	err = inside(w.sender, func() error { out, err = sniff(senderDevice); return err })
	if err != nil {
		return nil, nil, err
	}
	at.onClose(func() { _, _ = out.stop(); _ = out.close() })
	err = inside(w.receiver, func() error { in, err = sniff(receiverEnd); return err })
	if err != nil {
		return nil, nil, err
	}
	at.onClose(func() { _, _ = in.stop(); _ = in.close() })
	return out, in, nil
}

// decode starts the receiver and returns once it listens. The channel gives all pictures
// when it has ended.
func decode(at *stage, w *network, line []string) (*process, <-chan []Picture, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	p, err := launch(w.receiver, line, write)
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
	at.onClose(p.stop)
	return p, all, p.listens(rtpPort, rtcpPort)
}

// play lets the run go on for its length and narrows the bottleneck in time.
func play(ctx context.Context, w *network, s Scenario, programs ...*process) error {
	start := time.Now()
	until := func(d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-programs[0].done:
			return programs[0].early()
		case <-programs[1].done:
			return programs[1].early()
		case <-time.After(time.Until(start.Add(d))):
			return nil
		}
	}
	for _, step := range s.Steps[min(1, len(s.Steps)):] {
		if err := until(step.At); err != nil {
			return err
		}
		if err := w.narrow(step.Rate, s.Queue); err != nil {
			return err
		}
	}
	return until(s.Length + s.Queue + tail)
}

// collect ends the recordings.
func collect(t trace, out, in *sniffer, pictures <-chan []Picture) (trace, error) {
	sent, err := out.stop()
	came, err2 := in.stop()
	if err := errors.Join(err, err2); err != nil {
		return t, err
	}
	t.sent, t.came, t.decoded = mediaOf(sent, t.start), mediaOf(came, t.start), <-pictures
	t.feedback = feedbackOf(sent)
	return t, nil
}

// Workplace makes a folder for Setup.Dir that others may read: camsource gives up root.
func Workplace() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "losslab-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// ClipFor writes the stamped clip that the scenarios need to dir.
func ClipFor(dir, film string, scenarios []Scenario) (string, error) {
	var longest time.Duration
	for _, s := range scenarios {
		longest = max(longest, s.Length+s.Queue+tail)
	}
	path := filepath.Join(dir, "clip.y4m")
	return path, WriteClip(film, path, int((longest+5*time.Second)/interval))
}

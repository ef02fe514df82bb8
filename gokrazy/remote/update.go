// An update: what the board lacks is sent, then it is watched until it has kept the new version or
// has gone back.

package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// Progress is how far an update is.
type Progress struct {
	Step        string  // see the Steps
	Done, Total float64 // Total is 0 if nobody knows
	Unit        Unit
	Text        string // what the board says
}

// A Unit is what a Progress counts.
type Unit string

// The units.
const (
	Bytes   Unit = "bytes"
	Seconds Unit = "seconds"
)

// The steps of an update, in their order.
const (
	StepSending    = "sending"
	StepWriting    = "writing"    // the board writes its other slot
	StepRestarting = "restarting" // it does not answer
	StepTrial      = "on trial"
)

const (
	// maxRounds is how often a board may say that something is missing: first everything may be, then
	// what a broken connection lost.
	maxRounds = 10
	// maxBreaks is how often in a row a connection may break; before the next one there is a pause
	// of 1 s, 2 s, 4 s …
	maxBreaks = 4
)

// Update brings the bundle to the board and waits for how it ends. It may be called again after
// whatever interrupted it: only what the board still lacks is sent. progress may be nil; it is called
// from one goroutine at a time. The bundle may be shared with other Clients.
//
// An Outcome without an error is the board's own word. If the error comes after the bundle was taken,
// ctx's end included, the Outcome says ResultUnknown: the board goes on by itself.
func (c *Client) Update(ctx context.Context, bundle *update.Bundle, progress func(Progress)) (Outcome, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	started := time.Now()
	o := Outcome{Version: bundle.Manifest.Version, Index: bundle.Manifest.Index}
	before, err := c.Status(ctx)
	if err != nil {
		return o, err
	}
	o.Before, o.Serial = before.Version, before.Serial
	if holds(before, o.Version, o.Index) {
		o.Result, o.Slot = ResultAlready, before.Slot
		return o, nil
	}
	if c.Once && judge(before, api.Status{}, &o) {
		return o, nil
	}
	err = c.bringAndWatch(ctx, bundle, before, &o, progress)
	if errors.Is(err, errIdle) { // what it was busy with is over
		if before, err = c.Status(ctx); err == nil {
			err = c.bringAndWatch(ctx, bundle, before, &o, progress)
		}
	}
	o.Seconds = time.Since(started).Seconds()
	return o, err
}

// bringAndWatch sends nothing to a board that is at an update already, which may be this one: of an
// earlier call that was killed, or of this one, if its connection broke while the board wrote.
func (c *Client) bringAndWatch(ctx context.Context, bundle *update.Bundle, before api.Status, o *Outcome,
	progress func(Progress)) error {
	if !IsUndecided(before, o.Version, o.Index) && before.Busy == "" {
		sent, err := c.bring(ctx, bundle, progress)
		o.Sent += sent
		var no *Refusal
		if errors.As(err, &no) {
			now, statusErr := c.Status(ctx)
			switch {
			case statusErr != nil:
			case c.isEnd(now, before, o):
				return nil
			case now.Busy != "", IsUndecided(now, o.Version, o.Index):
				before, err = now, nil
			}
		}
		if errors.Is(err, errNoAnswer) {
			o.Result = ResultUnknown
		}
		if err != nil {
			return err
		}
	}
	o.Result = ResultUnknown
	return c.watch(ctx, before, o, progress)
}

// isEnd says whether the board is through with the update. What it was through with before counts with Once.
func (c *Client) isEnd(s, before api.Status, o *Outcome) bool {
	if c.Once {
		before = api.Status{}
	}
	return judge(s, before, o)
}

// bring sends until nothing is missing, and gives the bytes of parts that the board counted.
func (c *Client) bring(ctx context.Context, bundle *update.Bundle, progress func(Progress)) (sent int64, err error) {
	var missing []api.Missing // first nothing: the board says what it lacks
	breaks := 0
	for range maxRounds {
		taken, err := c.post(ctx, bundle, missing, progress)
		var no *Refusal
		switch {
		case err == nil && len(taken.Missing) == 0:
			return sent + taken.Received, nil
		case err == nil:
			sent += taken.Received
			missing, breaks = taken.Missing, 0
		case ctx.Err() != nil, errors.As(err, &no), errors.Is(err, ErrFingerprint), errors.Is(err, ErrPassword),
			errors.Is(err, ErrNoPassword), errors.Is(err, update.ErrPart), errors.Is(err, errNoAnswer),
			breaks == maxBreaks:
			return sent, err
		default: // the connection broke: ask what has come
			if sleep(ctx, time.Second<<breaks) != nil {
				return sent, err
			}
			missing, breaks = nil, breaks+1
		}
	}
	return sent, fmt.Errorf("%s: still lacks %d parts after %d rounds", c.Host, len(missing), maxRounds)
}

// post sends manifest, signature, and what is missing.
func (c *Client) post(ctx context.Context, bundle *update.Bundle, missing []api.Missing, progress func(Progress)) (
	taken api.Taken, err error) {
	parts, skip, err := partsOf(bundle.Manifest, missing)
	if err != nil {
		return taken, fmt.Errorf("%s: %w", c.Host, err)
	}
	at, size := update.Offsets(parts, len(bundle.Raw), len(bundle.Signature))
	ctx, limits := c.newLimits(ctx)
	defer limits.end()
	r, w := io.Pipe()
	gap := &gapWriter{w: &limitedWriter{w, limits}}
	if len(parts) > 0 {
		gap.from, gap.to = at[0], at[0]+skip
		gap.w = &meter{w: gap.w, progress: progress, total: size - skip}
	}
	written := make(chan error, 1)
	go func() {
		err := update.WriteBundle(gap, bundle.Raw, bundle.Signature, parts, bundle.Open)
		limits.noteSent()
		_ = w.CloseWithError(err)
		written <- err
	}()
	err = c.sendBundle(ctx, r, size-skip, skip, &taken)
	_ = r.CloseWithError(errAnswered)
	readErr := <-written
	if over := limitOver(ctx); err != nil && over != nil {
		err = fmt.Errorf("%s: %w", c.Host, over)
	} else if err != nil && ctx.Err() != nil && readErr == nil && len(parts) > 0 {
		err = fmt.Errorf("%w: %w", errNoAnswer, err) // ctx ended, and the board has all: it goes on
	}
	if readErr != nil && !errors.Is(readErr, errAnswered) && !errors.Is(readErr, io.ErrClosedPipe) {
		err = readErr // the bundle itself could not be read, which is more to the point
	}
	return taken, err
}

// errAnswered ends the writing of a bundle that nobody reads any more.
var errAnswered = errors.New("the board has answered")

// sendBundle has no limit of time but ctx (see limits): a board takes bytes as slowly as its stream wants
// it, and then minutes to write a slow card.
func (c *Client) sendBundle(ctx context.Context, body io.Reader, size, skip int64, taken *api.Taken) error {
	header := http.Header{"Content-Type": {"application/x-tar"}}
	if skip > 0 {
		header.Set(api.SkipHeader, strconv.FormatInt(skip, 10))
	}
	_, err := c.send(ctx, http.MethodPost, api.UpdatePath, header, body, size, taken)
	return err
}

// partsOf gives the parts that are missing, in the manifest's order, and how many bytes of the first
// one the board has.
func partsOf(m update.Manifest, missing []api.Missing) (parts []update.Part, skip int64, err error) {
	lacks := map[string]int64{}
	for _, part := range missing {
		lacks[part.SHA256] = part.Have
	}
	for _, p := range m.Parts {
		have, lacked := lacks[p.SHA256]
		if !lacked {
			continue
		}
		delete(lacks, p.SHA256)
		if len(parts) == 0 && have > 0 && have <= p.Size {
			skip = have
		}
		parts = append(parts, p)
	}
	if len(lacks) > 0 {
		return nil, 0, errors.New("asks for parts that the bundle does not have")
	}
	return parts, skip, nil
}

// A gapWriter leaves out the bytes from from to to.
type gapWriter struct {
	w            io.Writer
	at, from, to int64
}

func (g *gapWriter) Write(b []byte) (int, error) {
	begin := g.at
	g.at += int64(len(b))
	if g.at <= g.from || begin >= g.to {
		return g.w.Write(b)
	}
	head := b[:max(g.from-begin, 0)]
	tail := b[min(g.to-begin, int64(len(b))):]
	for _, part := range [][]byte{head, tail} {
		if len(part) == 0 {
			continue
		}
		if _, err := g.w.Write(part); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// A meter tells how much was written.
type meter struct {
	w        io.Writer
	progress func(Progress)
	done     int64
	total    int64
}

func (m *meter) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	m.done += int64(n)
	m.progress(Progress{Step: StepSending, Done: float64(m.done), Total: float64(m.total), Unit: Bytes})
	if m.done == m.total {
		m.progress(Progress{Step: StepWriting})
	}
	return n, err
}

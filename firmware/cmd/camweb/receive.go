// A pushed bundle: checked, spooled, handed on.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/firmware/webui"
	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// layout is that of the cards that this version knows.
const layout = 1

// errHeader is about a header of the request.
var errHeader = errors.New("header " + api.SkipHeader)

// silence is how long a sender may send nothing. A board that restarts, or a laptop that was shut,
// must not keep others from sending.
const silence = time.Minute

// writingTakes is how long process 1 may take for a slot: a slow card writes 1 MB/s.
const writingTakes = 20 * time.Minute

// takeBundle takes what a bundle brings, and says what is still missing, or has the update written.
func (s *service) takeBundle(w http.ResponseWriter, r *http.Request) {
	taken, err := s.take(w, r)
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case len(taken.Missing) > 0:
		webui.WriteJSON(w, http.StatusAccepted, taken)
	default:
		webui.WriteJSON(w, http.StatusOK, taken)
	}
}

func (s *service) take(w http.ResponseWriter, r *http.Request) (taken api.Taken, err error) {
	skip, err := skipOf(r)
	if err != nil {
		return taken, err
	}
	release, ctx, err := s.intake.acquire(r.Context(), person)
	if err != nil {
		return taken, err
	}
	defer release()
	if err := s.mayTake(); err != nil {
		return taken, err
	}
	have, err := s.at.readSlots()
	if err != nil {
		return taken, err
	}
	body := s.body(ctx, w, r, update.MaxBundle)
	in := &incoming{service: s, slots: have, skip: skip}
	if err := in.read(body); err != nil {
		return taken, err
	}
	taken = api.Taken{Version: in.manifest.Version, Index: in.manifest.Index, Received: in.received}
	taken.Missing = s.missing(in.manifest, in.have)
	if len(taken.Missing) > 0 {
		return taken, nil
	}
	s.log.Info("update is whole: process 1 is asked to write it", "version", taken.Version, "by", r.RemoteAddr)
	noDeadline(w)
	return taken, s.applySpooled(ctx, in.manifest)
}

// applySpooled has process 1 write the update m, which is whole in the spool. If it refuses, a part may have
// been damaged on the card since it came: that one must come again.
func (s *service) applySpooled(ctx context.Context, m update.Manifest) error {
	err := s.apply(ctx, control.AskApply)
	if err == nil {
		return nil
	}
	forgotten, recheckErr := s.spool.Recheck(m)
	if len(forgotten) > 0 {
		err = fmt.Errorf("%w; parts that the card has damaged: %d; send the update again", err, len(forgotten))
	}
	return errors.Join(err, recheckErr)
}

// apply has process 1 write the spool into the other slot and restart. It goes on when whoever sent
// the update has gone.
func (s *service) apply(ctx context.Context, what string) error {
	if err := s.keepEndings(); err != nil { // what is tried now matters more
		s.log.Error("what failed here before may be fetched again if the gateway offers it", "error", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writingTakes)
	defer cancel()
	return s.at.ask(ctx, what)
}

func skipOf(r *http.Request) (int64, error) {
	text := r.Header.Get(api.SkipHeader)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > update.MaxRoot {
		return 0, fmt.Errorf("%w: %.40q is no number of bytes", errHeader, text)
	}
	return n, nil
}

// mayTake says what keeps the board from taking any update at present: better before it was sent than
// after. Process 1 decides again.
func (s *service) mayTake() error {
	if s.spool == nil {
		return s.spoolErr
	}
	status, err := control.ReadStatus(s.at.status)
	switch {
	case err != nil:
		return fmt.Errorf("the board has only just started: %w", err)
	case status.Updatable != "":
		return refusal{status.Updatable}
	case status.OnTrial:
		return refusal{fmt.Sprintf("slot %s is on trial: wait until it is kept or given up, or promote it",
			status.Slot)}
	case status.Busy != "":
		return refusal{"the board is busy: " + status.Busy}
	}
	return nil
}

// body gives the request's body: not longer than limit, not faster than the stream bears, not from a
// sender who has fallen silent.
func (s *service) body(ctx context.Context, w http.ResponseWriter, r *http.Request, limit int64) io.Reader {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // set again below: a recorder in a test has none
	b := io.Reader(&patientReader{r: http.MaxBytesReader(w, r.Body, limit), control: control})
	return &pacedReader{ctx, b, s.newPacer()}
}

// noDeadline lets the answer come whenever process 1 is ready.
func noDeadline(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
}

// A patientReader lets a sender take all the time it needs, as long as something comes.
type patientReader struct {
	r       io.Reader
	control *http.ResponseController
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(silence))
	return p.r.Read(b)
}

// incoming is a bundle on its way into the spool.
type incoming struct {
	*service
	slots
	skip     int64 // bytes that the first part lacks, because the spool has them
	manifest update.Manifest
	have     map[string]bool
	received int64
}

// read reads a bundle to its end.
func (in *incoming) read(r io.Reader) error {
	gap := &gapReader{r: r}
	first := true
	return update.ReadBundle(gap, func(raw, sig []byte) (update.Manifest, error) {
		at, _ := update.Offsets([]update.Part{{}}, len(raw), len(sig))
		gap.at, gap.left = at[0], in.skip
		return in.begin(raw, sig)
	}, func(p update.Part, r io.Reader) error {
		from := int64(0)
		if first {
			from = in.skip
		}
		first = false
		return in.put(p, from, r)
	})
}

// begin verifies, parses, permits, in this order, and makes the spool that of the manifest.
func (in *incoming) begin(raw, sig []byte) (m update.Manifest, err error) {
	if m, err = in.check(raw, sig, in.slots); err != nil {
		return m, err
	}
	in.manifest, in.have = m, update.HashesOf(in.promoted)
	return m, in.spool.Begin(raw, sig, m, in.have)
}

// check verifies a manifest before it is parsed, and says whether this board may take it.
func (s *service) check(raw, sig []byte, have slots) (m update.Manifest, err error) {
	keys, err := update.TrustedKeys(have.promoted, s.update.Keys)
	if err != nil {
		return m, err
	}
	if err := update.Verify(raw, sig, keys); err != nil {
		return m, err
	}
	if m, err = update.ParseManifest(raw); err != nil {
		return m, err
	}
	status, err := control.ReadStatus(s.at.status)
	if err != nil {
		return m, err
	}
	return m, m.Permits(have.promoted, status.Board, layout, have.other)
}

// put takes one part. What is here already is passed over.
func (in *incoming) put(p update.Part, from int64, r io.Reader) error {
	if from > p.Size {
		return fmt.Errorf("%w: part %s has %d bytes", errHeader, p.Name, p.Size)
	}
	if in.have[p.SHA256] || in.spool.Has(p) {
		return nil
	}
	if here := in.spool.Partial(p); from > here {
		return fmt.Errorf("%w: the board has %d bytes of part %s", errHeader, here, p.Name)
	}
	if _, err := io.CopyN(io.Discard, r, from); err != nil { // they are the gap's
		return err
	}
	counted := &counter{r: r}
	err := in.spool.Put(p, from, counted)
	in.received += counted.n
	return err
}

// A gapReader gives left zeros when at bytes have been read: in the place of what was not sent.
type gapReader struct {
	r             io.Reader
	pos, at, left int64
}

func (g *gapReader) Read(b []byte) (int, error) {
	if g.left > 0 && g.pos == g.at {
		n := min(int64(len(b)), g.left)
		clear(b[:n])
		g.left -= n
		return int(n), nil
	}
	if g.left > 0 {
		b = b[:min(int64(len(b)), g.at-g.pos)]
	}
	n, err := g.r.Read(b)
	g.pos += int64(n)
	return n, err
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

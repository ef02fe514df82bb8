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

// maxSilence is how long a sender may send nothing. A laptop that was shut must not keep others from sending.
const maxSilence = time.Minute

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
	hashes := update.HashesOf(have.promoted)
	var m update.Manifest
	check := func(raw, sig []byte) (_ update.Manifest, err error) {
		m, err = s.check(raw, sig, have)
		return m, err
	}
	received, err := s.spool.Take(s.body(ctx, w, r, update.MaxBundle), hashes, skip, check)
	if err != nil {
		return taken, err
	}
	taken = api.Taken{Version: m.Version, Index: m.Index, Received: received, Missing: s.missing(m, hashes)}
	if len(taken.Missing) > 0 {
		return taken, nil
	}
	s.log.Info("update is whole: process 1 is asked to write it", "version", taken.Version, "by", r.RemoteAddr)
	noDeadline(w)
	return taken, s.applySpooled(ctx, m)
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
	b := io.Reader(&patientReader{http.MaxBytesReader(w, r.Body, limit), control, s.silence})
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
	silence time.Duration // the longest
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(p.silence))
	return p.r.Read(b)
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

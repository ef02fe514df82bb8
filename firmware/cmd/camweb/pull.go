// Updates that the gateway offers: fetched at a random moment within an hour, so that a fleet does not
// come at once, or now; after a failure with growing pauses; and never again a version that failed
// here, unless a person brings it.
//
// Nothing here is believed: the offer is camsource's word for a gateway's, the server may be anybody's.
// The signature decides, as for a push.

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/offer"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/update/pull"
)

const (
	lookEvery   = 5 * time.Second // for an offer: a file in memory
	spreadOver  = time.Hour
	firstPause  = time.Minute // after a failure; it doubles
	longestWait = 6 * time.Hour
)

var (
	errTried   = errors.New("this board does not try it again unless a person brings it")
	errInTrial = errors.New("it is here already: the board will try it again by itself")

	errWithdrawn = errors.New("the gateway does not offer it any more")
)

// A puller is where a fetch stands. Its fields belong to the goroutine of pullOffers, but for text.
type puller struct {
	offer offer.Offer // the present one; the zero Offer is none
	due   time.Time   // when it is fetched next
	fails int
	over  bool          // this offer is settled
	every time.Duration // after which the offer is looked at again, also while it is fetched

	mu   sync.Mutex
	text string
}

// words say what the puller does, for the owner's status; "" if nothing is offered.
func (p *puller) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text
}

func (p *puller) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

// pullOffers looks for offers until ctx ends.
func (s *service) pullOffers(ctx context.Context) {
	if !s.update.Pull || s.spool == nil {
		return
	}
	for ctx.Err() == nil {
		s.look(ctx, now, rand.N[time.Duration])
		_ = sleep(ctx, s.pull.every) // its error is ctx's end
	}
}

// look is one look at the offer. now is asked again after a fetch, which may have taken hours; random gives a
// duration below another.
func (s *service) look(ctx context.Context, now func() time.Time, random func(time.Duration) time.Duration) {
	p, at := &s.pull, now()
	o, err := offer.Read(s.at.offer)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && p.words() != err.Error() {
			s.log.Warn("pull", "error", err)
			p.say(err.Error())
		}
		if errors.Is(err, fs.ErrNotExist) {
			p.say("")
		}
		p.offer = offer.Offer{}
		return
	}
	s.takeOffer(o, at, random)
	if p.over || at.Before(p.due) {
		return
	}
	p.say(o.Version + " is being fetched")
	if err := s.pullOnce(ctx, o); ctx.Err() == nil {
		s.settle(err, now(), random)
	}
}

// takeOffer takes what is offered at a time: something new, or what was offered before, perhaps with another
// secret in its URL, or more urgently.
func (s *service) takeOffer(o offer.Offer, at time.Time, random func(time.Duration) time.Duration) {
	p := &s.pull
	isNew := !o.IsSame(p.offer)
	if isNew {
		p.fails, p.over, p.due = 0, false, at.Add(random(spreadOver))
	}
	if o.Now && (isNew || !p.offer.Now) {
		p.due = at
	}
	if isNew {
		s.log.Info("pull: the gateway offers an update", "version", o.Version, "from", o.Place(),
			"in", p.due.Sub(at).Round(time.Second))
		p.say(o.Version + " is offered: it is fetched within the hour")
	}
	p.offer = o
}

// settle decides when an offer is looked at again.
func (s *service) settle(err error, at time.Time, random func(time.Duration) time.Duration) {
	p := &s.pull
	switch {
	case err == nil:
		p.over = true
		p.say(p.offer.Version + " is here: the board restarts to try it")
	case errors.Is(err, errWithdrawn): // the next look sees what is offered instead
		s.log.Info("pull: ended", "version", p.offer.Version, "because", err)
	case isFinal(err):
		p.over = true
		s.log.Warn("pull: the offered update is not taken", "version", p.offer.Version, "from", p.offer.Place(),
			"error", err)
		p.say(fmt.Sprintf("%s is not taken: %v", p.offer.Version, err))
	default:
		pause := min(firstPause<<min(p.fails, 10), longestWait)
		pause = pause/2 + random(pause) // a fleet that failed together must not come back together
		p.fails++
		p.due = at.Add(pause)
		s.log.Warn("pull: will be tried again", "version", p.offer.Version, "from", p.offer.Place(),
			"in", pause.Round(time.Second), "error", err)
		p.say(fmt.Sprintf("%s could not be fetched and will be tried again: %v", p.offer.Version, err))
	}
}

// isFinal says whether the same offer can end only in the same way.
func isFinal(err error) bool {
	for _, final := range []error{
		errTried, errInTrial, update.ErrNoKey, update.ErrSignature, update.ErrManifest, update.ErrFormat,
		update.ErrBoard, update.ErrLayout, update.ErrOlder, update.ErrAlready,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// pullOnce fetches what is missing and has it written, as long as o is offered.
func (s *service) pullOnce(parent context.Context, o offer.Offer) error {
	release, ctx, err := s.intake.acquire(parent, gatewayOffer)
	if err != nil {
		return err
	}
	defer release()
	ctx, stop := s.whileOffered(ctx, o)
	defer stop()
	if err := s.mayTake(); err != nil {
		return err
	}
	have, err := s.at.readSlots()
	if err != nil {
		return err
	}
	var m update.Manifest
	err = s.fetch(ctx, o, update.HashesOf(have.promoted), func(raw, sig []byte) (update.Manifest, error) {
		var err error
		if m, err = s.check(raw, sig, have); err != nil {
			return m, err
		}
		return m, s.mayTryAgain(m)
	})
	switch {
	case ctx.Err() != nil: // which says more than what it led to
		return context.Cause(ctx)
	case err != nil:
		return err
	case !s.isOffered(o):
		return errWithdrawn
	}
	if err := s.noteAttempt(m); err != nil {
		return err // without the note it could be tried for ever
	}
	return s.applySpooled(ctx, m)
}

// whileOffered gives a context that ends when o is not offered any more. stop ends the watch.
func (s *service) whileOffered(parent context.Context, o offer.Offer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for sleep(ctx, s.pull.every) == nil {
			if !s.isOffered(o) {
				cancel(errWithdrawn)
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-watched
	}
}

// isOffered says whether the gateway still offers what o is.
func (s *service) isOffered(o offer.Offer) bool {
	present, err := offer.Read(s.at.offer)
	return err == nil && present.IsSame(o)
}

// fetch brings what is missing into the spool, at the pace of a push.
func (s *service) fetch(ctx context.Context, o offer.Offer, have map[string]bool,
	check func(raw, sig []byte) (update.Manifest, error)) error {
	job := pull.Job{URL: o.URL, Spool: s.spool, Have: have, Check: check, Dial: s.dial,
		Progress: func(done, total int64) {
			s.pull.say(fmt.Sprintf("%s is being fetched: %.1f of %.1f MB", o.Version,
				float64(done)/1e6, float64(total)/1e6))
		},
		Pace: func(r io.Reader) io.Reader { return &pacedReader{ctx, r, s.newPacer()} }}
	if o.CA != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(o.CA)) // nothing in it: nobody is believed
		job.TLS = &tls.Config{RootCAs: pool}
	}
	_, err := pull.Fetch(ctx, job)
	return err
}

// mayTryAgain compares with what was tried before. Whether somebody pushed it or the gateway offered it
// does not matter.
func (s *service) mayTryAgain(m update.Manifest) error {
	status, err := control.ReadStatus(s.at.status)
	if err != nil {
		return err
	}
	if t := status.Trial; t != nil && t.Version == m.Version && t.Index == m.Index {
		switch t.State {
		case control.StateStaged, control.StateRequested, control.StateOnTrial, control.StateJudging,
			control.StateNotJudged:
			return errInTrial
		}
	}
	switch before := s.attempts().ended(status).of(m.Version, m.Index); {
	case before.Ending != "":
		return fmt.Errorf("%s: %w", before.Ending, errTried)
	case before.Tries >= maxTries:
		return fmt.Errorf("it was fetched %d times and never began: %w", before.Tries, errTried)
	}
	return nil
}

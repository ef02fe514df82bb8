// WHIP: the goroutine that publishes a stream and begins again when the endpoint is gone, and the queue
// that keeps the receiver's goroutine from waiting for it.

package forward

import (
	"context"
	"errors"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/forward/packet"
)

const (
	// publishLimit is how long it may take until the endpoint takes packets.
	publishLimit = 15 * time.Second

	// stableAfter is how long a session must have lasted for the next to begin without a pause.
	stableAfter = 10 * time.Second

	// deleteLimit is for the request that ends a session.
	deleteLimit = time.Second

	// queueSize packets wait for the endpoint: half a second of a stream of 2 Mbit/s.
	queueSize = 128
)

// A PublishFunc publishes a stream to a WHIP endpoint and returns once packets can be sent. It is
// farend/forward/whip's, which not every program links.
type PublishFunc func(ctx context.Context, r PublishRequest) (Publication, error)

// A PublishRequest says what is published where.
type PublishRequest struct {
	URL      string
	Token    string // bearer token; "": none
	Name     string // of the stream, for the endpoint
	Feedback func([]rtcp.Packet)
}

// A Publication is a session with an endpoint. It resends and reports by itself.
type Publication interface {
	// WriteRTP sends a packet and keeps nothing of it. Its SSRC and payload type become the session's.
	WriteRTP(packet []byte) error

	// Done is closed when the endpoint is gone or ended the session.
	Done() <-chan struct{}

	// Close ends the session, at the endpoint too.
	Close(ctx context.Context) error
}

var errSessionEnded = errors.New("the endpoint is gone or ended the session")

// publish forwards to an endpoint until ctx is over.
func (s *sink) publish(ctx context.Context) {
	for pause := firstPause; ctx.Err() == nil; {
		began := time.Now()
		if err := s.publishOnce(ctx); err != nil {
			s.problem("publish by WHIP", err)
		}
		if time.Since(began) > stableAfter {
			pause = firstPause
		}
		pause = sleep(ctx, pause)
	}
}

// publishOnce publishes until the session or ctx is over.
func (s *sink) publishOnce(ctx context.Context) error {
	r := PublishRequest{
		URL: s.expand(s.rule.WHIP, 0), Token: s.rule.Token, Name: sessionName(s.source, s.grant.Source.String()),
		Feedback: func(packets []rtcp.Packet) { s.takeFeedback(packets, s.forwarder.config.Now()) },
	}
	if s.rule.LiveKit != nil {
		room := s.expand(s.rule.LiveKit.room(), 0)
		r.Token = s.rule.LiveKit.token(room, s.grant.Source.String(), s.forwarder.config.Now())
	}
	connecting, cancel := context.WithTimeout(ctx, publishLimit)
	p, err := s.forwarder.config.WHIP(connecting, r)
	cancel()
	if err != nil {
		return err
	}
	q := newQueue()
	s.connect(q, withoutSecrets(r.URL))
	s.log().Info("forward: begun", "to", withoutSecrets(r.URL))
	err = q.pump(ctx, p)
	s.disconnect()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteLimit)
	defer cancel()
	if closing := p.Close(ending); err == nil && closing != nil {
		s.log().Warn("forward: end the session", "error", closing)
	}
	return err
}

// A queue has packets on their way to a Publication. It is a link.
type queue struct{ free, full chan []byte }

var errQueueFull = errors.New("the endpoint does not follow")

func newQueue() *queue {
	q := &queue{free: make(chan []byte, queueSize), full: make(chan []byte, queueSize)}
	for range queueSize {
		q.free <- make([]byte, 0, packet.Room)
	}
	return q
}

func (q *queue) send(packet []byte) error {
	select {
	case b := <-q.free:
		q.full <- append(b[:0], packet...) // there is a place for each buffer
		return nil
	default:
		return errQueueFull
	}
}

func (q *queue) report([]byte) error { return nil } // the Publication does

func (q *queue) close() {}

// pump sends what is in the queue until ctx is over, or gives the reason why it cannot.
func (q *queue) pump(ctx context.Context, p Publication) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.Done():
			return errSessionEnded
		case b := <-q.full:
			err := p.WriteRTP(b)
			q.free <- b
			if err != nil {
				return err
			}
		}
	}
}

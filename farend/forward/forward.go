// Package forward hands streams on to programs elsewhere: as plain RTP, into a mountpoint of Janus'
// streaming plugin, or to a WHIP endpoint such as LiveKit's. Rules say which streams; what a rule names
// begins and ends with the stream.
//
// For each stream and rule there is one sink, a stream.Sink. It gives packets an identity of its own and
// sends them from the receiver's goroutine; names are looked up, HTTP is spoken and RTCP is read in
// goroutines that the Forwarder owns. What cannot be sent on at once is dropped and counted. Requests
// for key frames go back by Config.KeyFrame.
//
// Rules come from the operator's configuration alone: a customer who could write one would have this
// server send to, and ask, hosts of its network.
//
// Sources: RFC 3550, RFC 4585 (PLI, NACK), RFC 5104 (FIR), RFC 7741 (VP8), RFC 9725 (WHIP);
// docs/forwarding.md for operators.
package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// closeLimit is how long the end may take: mountpoints are destroyed, WHIP sessions deleted.
const closeLimit = 2 * time.Second

// Config is what a Forwarder needs of the program around it.
type Config struct {
	Rules []Rule

	// Name is this server's own among those that use one Janus. Mountpoints that a crash left are
	// found by it.
	Name     string
	KeyFrame func(streamID string) // asks the source; called by goroutines of the Forwarder
	WHIP     PublishFunc           // nil: rules with whip are refused
	Resolver *net.Resolver         // nil: the system's
	Log      *slog.Logger
	Now      func() time.Time
}

// A Forwarder owns what is forwarded. It is safe for use by several goroutines.
//
// Locks: the Forwarder's before a sink's; nothing is called of another package under one, but what
// writes a datagram to a socket.
type Forwarder struct {
	config    Config
	keyFrames *keyFrameRequests
	pools     []*pool             // by rule; nil if it is not for plain RTP
	januses   map[string]*mounter // by URL
	work      sync.WaitGroup
	stop      context.CancelFunc // of the goroutines that are no sink's

	mu     sync.Mutex
	sinks  []*sink // until all of their work is done
	closed bool
}

// New checks the rules and begins. Close ends it.
func New(config Config) (*Forwarder, error) {
	if config.Resolver == nil {
		config.Resolver = net.DefaultResolver
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &Forwarder{
		config: config, stop: stop, pools: make([]*pool, len(config.Rules)), januses: map[string]*mounter{},
		keyFrames: newKeyFrameRequests(config.KeyFrame),
	}
	for i := range config.Rules {
		if err := f.addRule(i); err != nil {
			stop()
			return nil, fmt.Errorf("forward: rule %d: %w", i+1, err)
		}
	}
	f.work.Go(func() { f.keyFrames.run(ctx) })
	for _, m := range f.januses {
		f.work.Go(func() { m.run(ctx) })
	}
	return f, nil
}

func (f *Forwarder) addRule(i int) (err error) {
	r := &f.config.Rules[i]
	if err := r.Check(); err != nil {
		return err
	}
	switch r.to() {
	case ToRTP:
		f.pools[i], err = parsePool(r.RTP, r.Local)
		return err
	case ToWHIP:
		if f.config.WHIP == nil {
			return errors.New("this program cannot forward by WHIP")
		}
		return nil
	}
	if f.config.Name == "" {
		return errors.New("a rule with janus needs this server's name")
	}
	m := f.januses[r.Janus]
	if m == nil {
		f.januses[r.Janus] = newMounter(f, r)
		return nil
	}
	return m.fits(r)
}

// Sinks are what takes a stream that begins: one for each rule that is about it, but of the rules with one
// Janus the first alone. A source has one mountpoint there, and a later rule may have another pin.
func (f *Forwarder) Sinks(g stream.Grant, customerName, sourceName string) []stream.Sink {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	var out []stream.Sink
	served := map[string]bool{} // by URL of a Janus
	for i := range f.config.Rules {
		r := &f.config.Rules[i]
		if !r.matches(customerName, sourceName, g.Source.String()) || served[r.Janus] {
			continue
		}
		served[r.Janus] = r.to() == ToJanus
		out = append(out, f.begin(i, g, customerName, sourceName))
	}
	return out
}

// begin makes a sink and starts what moves it.
func (f *Forwarder) begin(rule int, g stream.Grant, customer, source string) *sink {
	r := &f.config.Rules[rule]
	s := newSink(f, r, g, customer, source)
	f.sinks = append(f.sinks, s)
	switch r.to() {
	case ToRTP:
		f.start(s, f.plainRTP(s, f.pools[rule]))
	case ToJanus:
		f.start(s, func(ctx context.Context) { f.januses[r.Janus].mount(ctx, s) })
	case ToWHIP:
		f.start(s, s.publish)
	}
	return s
}

// start runs a sink's work in a goroutine until the sink is closed, and forgets the sink then.
func (f *Forwarder) start(s *sink, work func(ctx context.Context)) {
	f.work.Go(func() {
		work(s.ctx)
		s.disconnect()
		f.mu.Lock()
		f.sinks = slices.DeleteFunc(f.sinks, func(other *sink) bool { return other == s })
		f.mu.Unlock()
	})
}

// States are the forwardings that there are, in the order in which they began.
func (f *Forwarder) States() []State {
	f.mu.Lock()
	sinks := slices.Clone(f.sinks)
	f.mu.Unlock()
	states := make([]State, 0, len(sinks))
	for _, s := range sinks {
		states = append(states, s.state())
	}
	return states
}

// Close ends all forwardings and waits until mountpoints are destroyed and WHIP sessions deleted: until
// ctx is over, 2 s at most.
func (f *Forwarder) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeLimit)
	defer cancel()
	f.mu.Lock()
	f.closed = true
	sinks := slices.Clone(f.sinks)
	f.mu.Unlock()
	for _, s := range sinks {
		s.Close()
	}
	f.stop()
	done := make(chan struct{})
	go func() {
		f.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("forward: %d forwardings did not end in time: %w", len(f.States()), ctx.Err())
	}
}

// The loop of the client: wait for a network, find servers, ask them, set the clock, wait.

package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/beevik/ntp"
)

// A sample is the time according to one server.
type sample struct {
	server   string
	offset   time.Duration // to add to our clock
	distance time.Duration // how wrong offset may be, by the server's own account and our way to it
	leap     ntp.LeapIndicator
}

// A clockSetter sets the clock by a sample, or refuses it.
type clockSetter interface {
	setClock(s sample, poll time.Duration) error
}

// A client belongs to one goroutine, that of steerClock. Network, clock and timer are fields, so
// that tests replace them.
type client struct {
	configured []string
	fromDHCP   func(context.Context, network) ([]netip.Addr, error)
	ask        func(context.Context, string) (sample, error)
	clock      clockSetter
	after      func(time.Duration) <-chan time.Time
	now        func() time.Time // monotonic: steps of the clock do not matter
	log        *slog.Logger

	pace    pollPace
	servers []string // nil: find those of the present networks
	failing bool     // an outage was logged and has not ended
	onPool  bool     // the named servers do not answer, the pool does
	wasSet  bool     // the clock was set since the start

	holdoff      map[string]time.Time // until when a server is left alone
	disagreement string               // which servers were last said to be wrong
}

// steerClock steers the clock until ctx ends. Each value of networks replaces the previous one;
// without a network it sends nothing and waits.
func (c *client) steerClock(ctx context.Context, networks <-chan []network) {
	var present []network
	var next <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case present = <-networks:
			c.pace = pollPace{}
			c.servers, c.holdoff = nil, nil // a server may have meant the address that we had
		case <-next:
		}
		next = nil
		if len(present) > 0 {
			next = c.after(c.askServers(ctx, present))
		}
	}
}

// askServers asks all servers, sets the clock by those that are right, and returns the time to
// wait. The named servers are asked first every time, so that one that comes back is used again.
func (c *client) askServers(ctx context.Context, present []network) time.Duration {
	if c.servers == nil {
		c.servers = c.findServers(ctx, present)
	}
	next := c.pace // a copy: only an answer changes the client's own
	poll := next.afterAnswer()
	got, named := c.askRound(ctx)
	server, err := c.setFromAnswers(got.samples, poll)
	if server != "" {
		if !named {
			c.servers = nil // DHCP may name others now
		}
		c.logRecovery(server, named, got.failed)
		return c.pace.afterAnswer()
	}
	failed := errors.Join(got.failed, err)
	c.logOutage(failed)
	c.servers = nil
	if refused(failed) {
		return c.pace.afterRefusal(rand.Float64())
	}
	return c.pace.afterFailure(rand.Float64())
}

// findServers merges the owner's servers with those that DHCP names on the present networks.
func (c *client) findServers(ctx context.Context, present []network) []string {
	var fromDHCP []netip.Addr
	for _, n := range present {
		if !n.address.Is4() {
			continue
		}
		found, err := c.fromDHCP(ctx, n)
		if err != nil && !c.failing && !c.onPool {
			c.log.Info("DHCP names no time servers", "interface", n.name, "error", err)
		}
		fromDHCP = append(fromDHCP, found...)
	}
	list := serverList(c.configured, fromDHCP)
	if !c.failing && !c.onPool { // an outage is one line, not one for each attempt
		c.log.Info("time servers",
			"servers", list, "configured", len(c.configured), "dhcp", len(fromDHCP))
	}
	return list
}

func (c *client) logOutage(err error) {
	if !c.failing {
		c.log.Warn("no time server answers", "error", err)
	}
	c.failing = true
}

// logRecovery logs the end of an outage, and each change between named servers and the pool.
func (c *client) logRecovery(server string, named bool, failed error) {
	switch {
	case !named && !c.onPool:
		c.log.Warn("no time server that was named answers: the public pool is asked", "server", server, "error", failed)
	case c.failing, named && c.onPool:
		c.log.Info("time server answers again", "server", server)
	}
	c.failing, c.onPool = false, !named
}

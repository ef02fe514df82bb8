// The loop of the client: wait for a network, find servers, ask one, set the clock, wait.

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
	server string
	offset time.Duration // to add to our clock
	leap   ntp.LeapIndicator
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
	log        *slog.Logger

	pace    pollPace
	servers []string // nil: find those of the present networks
	failing bool     // an outage was logged and has not ended
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
			c.servers = nil
		case <-next:
		}
		next = nil
		if len(present) > 0 {
			next = c.after(c.askServers(ctx, present))
		}
	}
}

// askServers asks one server after the other until the clock was set, and returns the time to
// wait. The order is by rank: the owner's servers are asked first every time.
func (c *client) askServers(ctx context.Context, present []network) time.Duration {
	if c.servers == nil {
		c.servers = c.findServers(ctx, present)
	}
	next := c.pace // a copy: only an answer changes the client's own
	poll := next.afterAnswer()
	var failed error
	for _, server := range c.servers {
		err := c.setFromServer(ctx, server, poll)
		if err == nil {
			c.logRecovery(server)
			return c.pace.afterAnswer()
		}
		failed = errors.Join(failed, err)
	}
	c.logOutage(failed)
	c.servers = nil // DHCP may name others now
	if errors.Is(failed, ntp.ErrKissOfDeath) {
		return c.pace.afterRefusal(rand.Float64())
	}
	return c.pace.afterFailure(rand.Float64())
}

// setFromServer asks one server and sets the clock by its answer.
func (c *client) setFromServer(ctx context.Context, server string, poll time.Duration) error {
	s, err := c.ask(ctx, server)
	if err != nil {
		return err
	}
	return c.clock.setClock(s, poll)
}

// findServers merges the owner's servers with those that DHCP names on the present networks.
func (c *client) findServers(ctx context.Context, present []network) []string {
	var fromDHCP []netip.Addr
	for _, n := range present {
		if !n.address.Is4() {
			continue
		}
		found, err := c.fromDHCP(ctx, n)
		if err != nil && !c.failing {
			c.log.Info("DHCP names no time servers", "interface", n.name, "error", err)
		}
		fromDHCP = append(fromDHCP, found...)
	}
	list := serverList(c.configured, fromDHCP)
	if !c.failing { // an outage is one line, not one for each attempt
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

func (c *client) logRecovery(server string) {
	if c.failing {
		c.log.Info("time server answers again", "server", server)
	}
	c.failing = false
}

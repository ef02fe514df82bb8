// The client's loop: wait for a network, find servers, ask, set, wait.

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

// A sample is one server's word on the time.
type sample struct {
	server string
	offset time.Duration // to add to our clock
	leap   ntp.LeapIndicator
}

// A clockSetter moves the clock by a sample, which it may refuse.
type clockSetter interface {
	set(s sample, poll time.Duration) error
}

// A client is driven by one goroutine, its run. What touches the world is a field.
type client struct {
	configured []string
	fromDHCP   func(context.Context, network) ([]netip.Addr, error)
	ask        func(context.Context, string) (sample, error)
	clock      clockSetter
	after      func(time.Duration) <-chan time.Time
	log        *slog.Logger

	pace    pace
	servers []string // nil: to be found for the present networks
	failing bool     // an outage was logged and has not ended
}

// run steers the clock until ctx ends. Each value of networks replaces the one
// before; without a network it sends nothing and waits.
func (c *client) run(ctx context.Context, networks <-chan []network) {
	var present []network
	var next <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case present = <-networks:
			c.pace = pace{}
			c.servers = nil
		case <-next:
		}
		next = nil
		if len(present) > 0 {
			next = c.after(c.round(ctx, present))
		}
	}
}

// round asks one server after the other until one is believed and returns how long
// to wait. The order is by rank, so the owner's server is asked first each time.
func (c *client) round(ctx context.Context, present []network) time.Duration {
	if c.servers == nil {
		c.servers = c.find(ctx, present)
	}
	next := c.pace // a copy: only an answer moves the client's own
	poll := next.good()
	var failed error
	for _, server := range c.servers {
		err := c.follow(ctx, server, poll)
		if err == nil {
			c.recovered(server)
			return c.pace.good()
		}
		failed = errors.Join(failed, err)
	}
	c.outage(failed)
	c.servers = nil // DHCP may know others by now
	if errors.Is(failed, ntp.ErrKissOfDeath) {
		return c.pace.refused(rand.Float64())
	}
	return c.pace.bad(rand.Float64())
}

// follow asks one server and sets the clock by what it says.
func (c *client) follow(ctx context.Context, server string, poll time.Duration) error {
	s, err := c.ask(ctx, server)
	if err != nil {
		return err
	}
	return c.clock.set(s, poll)
}

// find merges the owner's servers with those that the first network with an answer names.
func (c *client) find(ctx context.Context, present []network) []string {
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
		c.log.Info("time servers", "servers", list, "configured", len(c.configured), "dhcp", len(fromDHCP))
	}
	return list
}

func (c *client) outage(err error) {
	if !c.failing {
		c.log.Warn("no time server answers", "error", err)
	}
	c.failing = true
}

func (c *client) recovered(server string) {
	if c.failing {
		c.log.Info("time server answers again", "server", server)
	}
	c.failing = false
}

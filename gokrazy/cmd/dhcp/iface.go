// One interface: its sockets and its timer around a client.Client. Everything of the Client happens
// in the goroutine of run; two more read the sockets and end with it.

package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/cmd/dhcp/client"
)

// reopenPause is before the next try to open sockets, or to read one that fails.
const reopenPause = 2 * time.Second

// moved is how long a cable is out before its IPv6 is taken to be another network's.
const moved = 3 * time.Second

// An iface implements client.Port.
type iface struct {
	index    int
	name     string
	hardware net.HardwareAddr
	hostName string
	metric   int
	state    string // folder
	servers  *nameServers
	log      *slog.Logger

	sockets  *sockets
	sendFail bool   // an outage was logged and has not ended
	refused  string // routes that were logged as refused
}

// An event is what happens to the client, in its goroutine.
type event func(c *client.Client, now time.Time)

// run serves the interface until ctx ends.
func (i *iface) run(ctx context.Context, carrier <-chan bool) {
	i.setSwitches()
	s, err := i.open(ctx)
	if err != nil {
		return
	}
	i.sockets = s
	events := make(chan event)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer s.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	readers.Go(func() { i.readMessages(ctx, events) })
	readers.Go(func() { i.readARP(ctx, events) })

	c := &client.Client{Hardware: i.hardware, HostName: i.hostName, Port: i, Log: i.log, Random: rand.Float64}
	i.resume(c)
	i.loop(ctx, c, carrier, events)
}

// loop passes events and time to the client.
func (i *iface) loop(ctx context.Context, c *client.Client, carrier <-chan bool, events <-chan event) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var s solicitor
	for {
		select {
		case <-ctx.Done():
			return
		case up := <-carrier:
			i.servers.carrierChanged(i.name, up)
			c.CarrierChanged(time.Now(), up)
			s.carrierChanged(i, time.Now(), up)
		case e := <-events:
			e(c, time.Now())
		case <-timer.C:
			c.Tick(time.Now())
			s.tick(i, time.Now())
		}
		timer.Stop()
		if at, ok := earlier(c.Deadline(), s.next); ok {
			timer.Reset(max(0, time.Until(at)))
		}
	}
}

// earlier gives the first of two times, of which the zero time is never.
func earlier(a, b time.Time) (time.Time, bool) {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		a = b
	}
	return a, !a.IsZero()
}

// open tries until it succeeds or ctx ends.
func (i *iface) open(ctx context.Context) (*sockets, error) {
	for failed := false; ; failed = true {
		s, err := openSockets(i.index)
		if err == nil {
			return s, nil
		}
		if !failed {
			i.log.Error("interface cannot be listened to", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(reopenPause):
		}
	}
}

// resume takes up the lease that a process before this one left, or clears the interface.
func (i *iface) resume(c *client.Client) {
	if g, ok := recallLease(i.state, i.name, i.log); ok {
		c.Resume(g)
		return
	}
	if err := i.Configure(client.Configuration{}); err != nil {
		i.log.Error("interface cannot be cleared", "error", err)
	}
}

func (i *iface) readMessages(ctx context.Context, events chan<- event) {
	b := make([]byte, maxPacket)
	i.read(ctx, i.sockets.messages, b, func(n int) {
		from, payload, err := parseUDP(b[:n])
		if err != nil {
			return
		}
		m, err := client.Parse(payload, i.hardware)
		if err != nil {
			return // others' messages come by broadcast too
		}
		i.pass(ctx, events, func(c *client.Client, now time.Time) { c.Message(now, m, from) })
	})
}

func (i *iface) readARP(ctx context.Context, events chan<- event) {
	b := make([]byte, maxPacket)
	i.read(ctx, i.sockets.arp, b, func(n int) {
		if p, err := client.ParseARP(b[:n]); err == nil {
			i.pass(ctx, events, func(c *client.Client, now time.Time) { c.ARP(now, p) })
		}
	})
}

// read reads until the socket is closed. An interface that is set down fails a read, and goes on
// when it is up again.
func (i *iface) read(ctx context.Context, from net.PacketConn, b []byte, use func(n int)) {
	for {
		n, _, err := from.ReadFrom(b)
		switch {
		case err == nil:
			use(n)
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			return
		case errors.Is(err, unix.ENETDOWN):
		default:
			select {
			case <-ctx.Done():
				return
			case <-time.After(reopenPause):
			}
		}
	}
}

func (i *iface) pass(ctx context.Context, events chan<- event, e event) {
	select {
	case events <- e:
	case <-ctx.Done():
	}
}

// Send implements client.Port. What is not sent is like what is lost: the client asks again.
func (i *iface) Send(m *dhcpv4.DHCPv4, from, to netip.Addr) {
	packet := newUDP(from, to, m.ToBytes())
	if to == broadcast {
		i.reportSend(i.sockets.broadcast(packet))
		return
	}
	i.reportSend(sendRouted(i.name, packet, to))
}

// SendARP implements client.Port.
func (i *iface) SendARP(p client.ARP) { i.reportSend(i.sockets.sendARP(p)) }

func (i *iface) reportSend(err error) {
	if err != nil && !i.sendFail {
		i.log.Warn("sending fails", "error", err)
	} else if err == nil && i.sendFail {
		i.log.Info("sending works again")
	}
	i.sendFail = err != nil
}

// Configure implements client.Port. Name servers come first: whoever notices the new default
// route asks them at once.
func (i *iface) Configure(c client.Configuration) error {
	i.servers.fromDHCP(i.name, i.metric, c.NameServers, c.Domain)
	err := applyConfiguration(i.index, i.metric, c)
	if errors.Is(err, errSomeRoutes) {
		if err.Error() != i.refused { // not again at each renewal
			i.log.Error("the kernel refuses routes of the lease", "address", c.Address, "error", err)
		}
		i.refused = err.Error()
		return nil
	}
	i.refused = ""
	return err
}

// Remember implements client.Port.
func (i *iface) Remember(g *client.Granted) {
	if g == nil {
		forgetLease(i.state, i.name)
		return
	}
	if err := rememberLease(i.state, i.name, *g); err != nil {
		i.log.Error("lease is not written down: ntp does not learn its time servers", "error", err)
	}
}

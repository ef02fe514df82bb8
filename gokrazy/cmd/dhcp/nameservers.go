// resolv.conf: the name servers of all interfaces, by DHCP and by router advertisements.
// Source: resolv.conf(5).

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
)

const (
	// maxNameServers is how many are written; the C library reads three.
	maxNameServers = 6
	// routerWritePause and routerLogPause are the least times between two files, and two lines of
	// the log, because of advertisements: any host of the LAN can send thousands a second.
	routerWritePause = time.Second
	routerLogPause   = time.Minute
)

// nameServers belongs to the goroutine of run; the other methods send it what to do and wait.
type nameServers struct {
	path  string
	log   *slog.Logger
	do    chan func()
	ended chan struct{}

	byInterface map[string]*source
	written     []byte
	hurry       bool      // what changed is not of a router alone
	writeAt     time.Time // when a router's next change may be written
}

// A source is what one interface brings.
type source struct {
	name    string
	metric  int
	domain  string
	dead    bool // no carrier: its servers come last
	dhcp    []netip.Addr
	routers []routerServer // the one that was named last is last

	logged []netip.Addr // of routers
	logAt  time.Time    // when others may be logged
}

type routerServer struct {
	address netip.Addr // with a zone if it is link-local
	until   time.Time
}

func newNameServers(path string, log *slog.Logger) *nameServers {
	return &nameServers{path: path, log: log, do: make(chan func()), ended: make(chan struct{}),
		byInterface: map[string]*source{}, hurry: true}
}

// run writes resolv.conf at once and after each change, until ctx ends.
func (n *nameServers) run(ctx context.Context) {
	defer close(n.ended)
	for {
		now := time.Now()
		next := n.settle(now)
		var expiry <-chan time.Time
		if !next.IsZero() {
			expiry = time.After(next.Sub(now))
		}
		select {
		case <-ctx.Done():
			return
		case f := <-n.do:
			f()
		case <-expiry:
		}
	}
}

// settle logs and writes what may be by now, and returns when there is more to do.
func (n *nameServers) settle(now time.Time) (next time.Time) {
	next = n.expire(now)
	for _, s := range n.byInterface {
		switch list := s.addresses(); {
		case slices.Equal(list, s.logged):
		case now.Before(s.logAt):
			next, _ = earlier(next, s.logAt)
		default:
			n.log.Info("name servers by router advertisement", "interface", s.name, "nameServers", list)
			s.logged, s.logAt = list, now.Add(routerLogPause)
		}
	}
	b := n.content()
	switch {
	case bytes.Equal(b, n.written):
	case !n.hurry && now.Before(n.writeAt):
		next, _ = earlier(next, n.writeAt)
	default:
		n.write(b)
		if !n.hurry {
			n.writeAt = now.Add(routerWritePause)
		}
	}
	n.hurry = false
	return next
}

// call runs f in run's goroutine; run writes the file after it. The second call comes after that.
func (n *nameServers) call(f func()) {
	for _, g := range []func(){f, func() {}} {
		select {
		case n.do <- g:
		case <-n.ended:
		}
	}
}

func (n *nameServers) source(name string) *source {
	s := n.byInterface[name]
	if s == nil {
		s = &source{name: name}
		n.byInterface[name] = s
	}
	return s
}

// fromDHCP replaces what DHCP said on an interface. It returns once resolv.conf is written.
func (n *nameServers) fromDHCP(name string, metric int, servers []netip.Addr, domain string) {
	n.call(func() {
		s := n.source(name)
		s.metric, s.dhcp, s.domain = metric, servers, domain
		n.hurry = true
	})
}

// carrierChanged ranks the servers of an interface by whether its cable is plugged.
func (n *nameServers) carrierChanged(name string, up bool) {
	n.call(func() { n.source(name).dead, n.hurry = !up, true })
}

// fromRouter takes one option of an advertisement.
func (n *nameServers) fromRouter(r rdnss) {
	name, ok := nameOf(r.index)
	if !ok {
		return
	}
	n.call(func() {
		if s := n.byInterface[name]; s != nil { // else it is not an interface of ours
			s.merge(r, time.Now())
		}
	})
}

// merge keeps the servers that were named last.
func (s *source) merge(r rdnss, now time.Time) {
	for _, a := range r.servers {
		if a.IsLinkLocalUnicast() {
			a = a.WithZone(s.name)
		}
		s.routers = slices.DeleteFunc(s.routers, func(known routerServer) bool { return known.address == a })
		if r.lifetime > 0 {
			s.routers = append(s.routers, routerServer{a, now.Add(r.lifetime)})
		}
	}
	s.routers = s.routers[max(0, len(s.routers)-maxNameServers):]
}

// rank is the metric of the interface's routes, and above all of them without a carrier.
func (s *source) rank() int {
	if s.dead {
		return s.metric + wifiMetric + maxMetricIndex
	}
	return s.metric
}

// addresses are those of routers, in an order that does not change from one advertisement to the next.
func (s *source) addresses() []netip.Addr {
	var all []netip.Addr
	for _, r := range s.routers {
		all = append(all, r.address)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// hasRouter says whether an advertisement named servers on this interface.
func (n *nameServers) hasRouter(name string) (has bool) {
	n.call(func() { has = len(n.source(name).routers) > 0 })
	return has
}

func (n *nameServers) forgetRouter(name string) {
	n.call(func() { n.source(name).routers, n.hurry = nil, true })
}

// forget drops an interface.
func (n *nameServers) forget(name string) {
	n.call(func() { delete(n.byInterface, name); n.hurry = true })
}

// expire drops servers whose time is over and returns when the next one's is.
func (n *nameServers) expire(now time.Time) (next time.Time) {
	for _, s := range n.byInterface {
		s.routers = slices.DeleteFunc(s.routers, func(r routerServer) bool { return !r.until.After(now) })
		for _, r := range s.routers {
			if next.IsZero() || r.until.Before(next) {
				next = r.until
			}
		}
	}
	return next
}

// content lists the servers by rank of their interface, DHCP's before the routers'. The C library
// waits 5 s for each one that does not answer.
func (n *nameServers) content() []byte {
	var sources []*source
	for _, s := range n.byInterface {
		sources = append(sources, s)
	}
	slices.SortFunc(sources, func(a, b *source) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.name, b.name))
	})
	var b bytes.Buffer
	b.WriteString("# generated by krazycam's dhcp\n")
	var all []netip.Addr
	search := false
	for _, s := range sources {
		if s.domain != "" && !search {
			fmt.Fprintf(&b, "search %s\n", s.domain)
			search = true
		}
		for _, a := range slices.Concat(s.dhcp, s.addresses()) {
			if !slices.Contains(all, a) && len(all) < maxNameServers {
				all = append(all, a)
				fmt.Fprintf(&b, "nameserver %v\n", a)
			}
		}
	}
	return b.Bytes()
}

func (n *nameServers) write(b []byte) {
	err := atomicfile.Replace(n.path, 0o644, func(f *os.File) error {
		_, err := f.Write(b)
		return err
	})
	if err != nil {
		n.log.Error("name servers are not written down", "error", err)
		return
	}
	n.written = b
}

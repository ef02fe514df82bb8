// Plain RTP to a host: the goroutine that looks its name up, and again when nobody takes the packets.

package forward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
)

const (
	// firstPause is before the second try of what failed; each further pause is twice as long.
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second

	// lookInterval is how often somebody looks whether a link's packets are taken.
	lookInterval = time.Second

	// silentAfter is without RTCP how long a receiver is one that cannot ask for a key frame. It gets
	// one every silentInterval, as from a source, which sends none unasked to a receiver that asks.
	silentAfter    = 15 * time.Second
	silentInterval = 5 * time.Second
)

// plainRTP takes a pair for a sink, which waits if none is free, and gives what forwards it. The
// Forwarder's lock is held.
func (f *Forwarder) plainRTP(s *sink, p *pool) func(ctx context.Context) {
	port, err := p.take(s.grant.ID, s.grant.Source.String())
	freed := p.freed
	return func(ctx context.Context) {
		for err != nil {
			s.problem("take a port pair", err)
			select {
			case <-ctx.Done():
				return
			case <-freed:
			}
			f.mu.Lock()
			port, err = p.take(s.grant.ID, s.grant.Source.String())
			freed = p.freed
			f.mu.Unlock()
		}
		defer func() {
			s.disconnect() // before another stream sends from here
			f.mu.Lock()
			defer f.mu.Unlock()
			p.put(port, s.grant.ID)
		}()
		s.sendTo(ctx, p.host, port, p.localPort(port))
	}
}

// sendTo forwards to a host until ctx is over.
func (s *sink) sendTo(ctx context.Context, host string, port, local int) {
	path := s.expand(s.rule.SDP, port)
	for pause := firstPause; ctx.Err() == nil; {
		to, err := s.open(ctx, host, port, local, path)
		if err != nil {
			s.problem("forward by RTP", err)
			pause = sleep(ctx, pause)
			continue
		}
		pause = firstPause
		s.watch(ctx, host, to)
	}
	if path != "" {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log().Error("forward: remove the description", "error", err)
		}
	}
}

// open looks the host up, describes the stream in a file and connects.
func (s *sink) open(ctx context.Context, host string, port, local int, path string) (to netip.Addr, err error) {
	all, err := s.forwarder.lookUp(ctx, host)
	if err != nil {
		return to, err
	}
	to = all[0]
	s.disconnect() // its ports may be those that are opened now
	l, err := openUDP(s, to, port, port+1, local)
	if err != nil {
		return to, err
	}
	var undescribed error
	if path != "" {
		undescribed = atomicfile.Replace(path, 0o644, atomicfile.Bytes([]byte(s.describe(to, port))))
	}
	s.connect(l, net.JoinHostPort(host, strconv.Itoa(port)))
	s.log().Info("forward: begun", "to", netip.AddrPortFrom(to, uint16(port)))
	if undescribed != nil {
		s.blemish("describe the stream", undescribed)
	}
	return to, nil
}

// watch returns when the host's name leads elsewhere, which matters once packets are not taken.
func (s *sink) watch(ctx context.Context, host string, to netip.Addr) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	errors := uint64(0)
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := errors
		errors = s.settle(before)
		if failing != (errors != before) {
			failing = !failing
			s.logOutage(failing)
			if !failing {
				s.requestKeyFrame() // for the player that came
			}
		}
		if !failing {
			s.serveSilent(s.forwarder.config.Now())
			continue
		}
		if all, err := s.forwarder.lookUp(ctx, host); err == nil && !slices.Contains(all, to) {
			return
		}
	}
}

// serveSilent asks for a key frame in the place of a receiver that says nothing, when one is due.
func (s *sink) serveSilent(now time.Time) {
	s.mu.Lock()
	due := now.Sub(s.heardAt) >= silentAfter && now.Sub(s.servedAt) >= silentInterval
	if due {
		s.servedAt = now
	}
	s.mu.Unlock()
	if due {
		s.requestKeyFrame()
	}
}

// sleep waits and gives the next pause.
func sleep(ctx context.Context, pause time.Duration) (next time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
	return min(2*pause, lastPause)
}

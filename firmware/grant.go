// Where the stream goes: a session at the gateway, or what the owner named.

package firmware

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/firmware/pipeline"
)

// followGrants keeps the stream of a pipeline going, while it is permitted, until ctx ends or it
// fails for good. camera is its name for the log.
func (s *Source) followGrants(ctx context.Context, p *pipeline.Pipeline, camera string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	st := &stream{source: s, pipeline: p, camera: camera, failed: func(err error) { cancel(err) }}
	follow := s.followGateway
	if s.Config.Stream.RTP != "" {
		follow = s.followOwner
	}
	err := follow(ctx, st)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// followGateway streams while the gateway grants it. The session outlives the camera: what it knows
// of the gateway, above all how soon it may ask again, holds for the next camera, too.
func (s *Source) followGateway(ctx context.Context, st *stream) error {
	if s.session == nil {
		session, err := s.newSession()
		if err != nil {
			return err
		}
		s.session = session
		s.vitals.session.Store(session)
	}
	session := s.session
	s.cameraInUse, st.doubt = st.camera, session.Doubt
	machine.WakeOnChange(ctx, session.Wake, s.Log)
	if err := session.Run(ctx, st.pipeline.Size().X, st.pipeline.Size().Y, st); err != nil {
		s.Log.Warn("gateway", "error", err) // the session is over all the same
	}
	return nil
}

// CheckGateway returns what keeps a gateway from being asked at all, before a camera is opened
// for it.
func CheckGateway(g config.Gateway) error {
	_, err := gateway.NewClient(clientConfig(g))
	return err
}

func clientConfig(g config.Gateway) gateway.ClientConfig {
	return gateway.ClientConfig{
		URL: g.URL, Key: g.Key, AllowHTTP: g.AllowHTTP, CA: g.CA, ClockSet: machine.ClockIsSet,
	}
}

func (s *Source) newSession() (*gateway.Session, error) {
	g := s.Config.Gateway
	to := clientConfig(g)
	to.Built = s.Built
	if g.ShareBoard {
		to.Board = s.boardFacts
	}
	offers := offerFile{path: s.OfferFile, gateway: g, log: s.Log}
	to.Offered = offers.take
	client, err := gateway.NewClient(to)
	if err != nil {
		return nil, err
	}
	c := gateway.SessionConfig{
		Asker: client, Log: s.Log,
		Policy: receiverPolicy(g, s.Config.Stream.Encryption == config.Required),
	}
	if s.StateDir != "" {
		c.Store = gateway.FileStore{Dir: s.StateDir}
	}
	return gateway.NewSession(c), nil
}

// receiverPolicy is what the owner lets a gateway name.
func receiverPolicy(g config.Gateway, encrypted bool) gateway.Policy {
	p := gateway.Policy{AllowLoopback: g.AllowLoopback, Allowed: g.AllowedReceivers, Encrypted: encrypted}
	if u, err := url.Parse(g.URL); err == nil {
		p.Gateway = u.Hostname()
	}
	return p
}

// followOwner streams to the addresses that the owner named, without a gateway. When the
// receiver seems to be gone, its name is looked up again.
func (s *Source) followOwner(ctx context.Context, st *stream) error {
	g, err := s.resolveOwnersGrant(ctx)
	if err != nil {
		return ignoreError(err, context.Canceled)
	}
	doubts := make(chan struct{}, 1)
	st.doubt = func() {
		select {
		case doubts <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil {
		if err := st.Begin(ctx, g); err != nil {
			return err
		}
		g = s.awaitNewAddress(ctx, g, doubts)
		st.End()
	}
	return nil
}

// awaitNewAddress looks the receiver's name up at each doubt until it stands for another address
// than g's, or ctx ends, when it returns g.
func (s *Source) awaitNewAddress(ctx context.Context, g gateway.Grant, doubts <-chan struct{}) gateway.Grant {
	for {
		select {
		case <-ctx.Done():
			return g
		case <-doubts:
		}
		now, err := s.resolveOwnersGrant(ctx)
		if err == nil && (now.RTP != g.RTP || now.RTCP != g.RTCP) {
			s.Log.Info("the receiver has moved", "from", g.RTP, "to", now.RTP)
			return now
		}
	}
}

var errUnencrypted = errors.New(
	"stream.rtp: sends in the clear, which stream.encryption forbids: only a gateway has keys")

// resolveOwnersGrant makes a grant of --rtp and --rtcp. What the owner names may be any address,
// loopback too.
func (s *Source) resolveOwnersGrant(ctx context.Context) (g gateway.Grant, err error) {
	if s.Config.Stream.Encryption == config.Required {
		return g, errUnencrypted
	}
	if g.RTP, err = resolveHostPort(ctx, s.Config.Stream.RTP); err != nil {
		return g, fmt.Errorf("stream.rtp: %w", err)
	}
	if g.RTCP, err = resolveHostPort(ctx, s.Config.Stream.RTCP); err != nil {
		return g, fmt.Errorf("stream.rtcp: %w", err)
	}
	return g, nil
}

// resolveTimeout bounds the lookup of one name.
const resolveTimeout = 10 * time.Second

// resolveHostPort looks HOST:PORT up. IPv4 comes first, as most cameras' networks are IPv4.
func resolveHostPort(ctx context.Context, hostPort string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	best := addrs[0].Unmap()
	for _, a := range addrs {
		if a.Unmap().Is4() {
			best = a.Unmap()
			break
		}
	}
	return netip.AddrPortFrom(best, uint16(number)), nil
}

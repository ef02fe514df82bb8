// One mountpoint: made, handed to a stream, destroyed.

package forward

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/krazycam/krazycam/farend/forward/janus"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// MountpointID is the id under which viewers find a source at Janus: always the same, and small enough
// for JavaScript.
func MountpointID(source wire.ID) uint64 {
	literal, _ := source.MarshalJSON() // never fails
	sum := sha256.Sum256(literal)
	return max(1, binary.BigEndian.Uint64(sum[:])>>16)
}

// provide makes a stream's mountpoint unless it is there, and connects the stream.
func (m *mounter) provide(ctx context.Context, id uint64, s *sink, all []janus.Mountpoint) error {
	p := m.made[id]
	if p != nil && p.sink == s {
		p.errors = s.settle(p.errors)
		return nil
	}
	if p == nil {
		var err error
		if p, err = m.create(ctx, id, s, all); err != nil {
			var refusal *janus.Error
			if errors.As(err, &refusal) && !errors.Is(err, janus.ErrSession) {
				s.problem("make a mountpoint", err)
				return nil
			}
			return err
		}
		m.made[id] = p
	} else if p.sink != nil {
		p.sink.disconnect()
		p.sink = nil
	}
	l, err := openUDP(s, p.host, p.ports.RTP, p.ports.RTCP, 0)
	if err != nil {
		s.problem("send to the mountpoint", err)
		return nil
	}
	p.sink, p.errors = s, 0
	s.connect(l, withoutSecrets(m.rule.Janus))
	s.log().Info("forward: begun", "to", netip.AddrPortFrom(p.host, uint16(p.ports.RTP)), "mountpoint", id)
	return nil
}

// create makes a mountpoint, in the place of one that another server of ours left.
func (m *mounter) create(ctx context.Context, id uint64, s *sink, all []janus.Mountpoint) (*mounted, error) {
	host := m.rule.Host
	if host == "" {
		u, err := url.Parse(m.rule.Janus)
		if err != nil {
			return nil, err
		}
		host = u.Hostname()
	}
	addresses, err := m.forwarder.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	p := &mounted{host: addresses[0]}
	r := janus.Request{
		Mountpoint: janus.Mountpoint{
			ID: id, Description: sessionName(s.source, s.grant.Source.String()), Metadata: m.mark,
		},
		Secret: m.rule.Secret, Pin: s.rule.Pin, Iface: m.rule.Iface,
	}
	if p.host.IsLoopback() {
		r.Iface = cmp.Or(r.Iface, p.host.String())
	}
	for _, other := range all {
		if other.ID == id && other.Metadata != m.mark && strings.HasPrefix(other.Metadata, markPrefix) {
			if err := m.destroy(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	// A request that is taken back is carried out all the same, perhaps after finish looked.
	if p.ports, err = m.handle.Create(context.WithoutCancel(ctx), r); err != nil {
		return nil, err
	}
	return p, nil
}

// destroy removes a mountpoint that is there. What Janus refuses is logged.
func (m *mounter) destroy(ctx context.Context, id uint64) error {
	delete(m.made, id)
	err := m.handle.Destroy(ctx, id, m.rule.Secret)
	var refusal *janus.Error
	if errors.As(err, &refusal) && !errors.Is(err, janus.ErrSession) {
		if !errors.Is(err, janus.ErrNoMountpoint) {
			m.forwarder.config.Log.Error("forward: a mountpoint stays", "janus", withoutSecrets(m.rule.Janus),
				"error", err)
		}
		return nil
	}
	return err
}

// withoutSecrets is a URL for logs and the API: without user, password and query.
func withoutSecrets(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// SRTP at the receiver: packets of the source are opened, ours are sealed.
// Spec: RFC 3711, RFC 7714 (AES-GCM).

package receiver

import (
	"fmt"
	"strings"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	masterKeySize = 16
	// replayWindow spans more than can wait for a packet that is sent again.
	replayWindow = 1024
)

// A cloak is the receiver's half. A nil one leaves packets as they are.
type cloak struct {
	source, ours *srtp.Context
	header       rtp.Header
	control      rtcp.Header
	opened       []byte
}

func newCloak(k *wire.SRTP) (*cloak, error) {
	if k == nil {
		return nil, nil
	}
	kinds := map[string]srtp.ProtectionProfile{
		wire.ProfileCM: srtp.ProtectionProfileAes128CmHmacSha1_80, wire.ProfileGCM: srtp.ProtectionProfileAeadAes128Gcm,
	}
	kind, known := kinds[k.Profile]
	if n := wire.KeySize(k.Profile); !known || len(k.Source) != n || len(k.Receiver) != n {
		return nil, fmt.Errorf("receiver: %v: %w", k, wire.ErrKeys)
	}
	c := &cloak{}
	var err error
	for _, half := range []struct {
		to  **srtp.Context
		key []byte
	}{{&c.source, k.Source}, {&c.ours, k.Receiver}} {
		*half.to, err = srtp.CreateContext(half.key[:masterKeySize], half.key[masterKeySize:], kind,
			srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
		if err != nil {
			return nil, fmt.Errorf("receiver: %v: %w: %w", k, wire.ErrKeys, err)
		}
	}
	return c, nil
}

// openRTP decrypts a packet into the cloak's own memory; not ok: it came before (again), is
// not the source's or was changed on its way.
func (c *cloak) openRTP(b []byte) (plain []byte, ok, again bool) {
	if c == nil {
		return b, true, false
	}
	plain, err := c.source.DecryptRTP(c.opened[:0], b, &c.header)
	if err != nil {
		return nil, false, strings.HasSuffix(err.Error(), "duplicated packet") // pion keeps that error to itself
	}
	c.opened = plain
	return plain, true, false
}

func (c *cloak) openRTCP(b []byte) (plain []byte, ok bool) {
	switch {
	case c == nil:
		return b, true
	case len(b) < 8: // no SSRC
		return nil, false
	}
	plain, err := c.source.DecryptRTCP(nil, b, &c.control)
	return plain, err == nil
}

func (c *cloak) sealRTCP(b []byte) ([]byte, error) {
	if c == nil {
		return b, nil
	}
	return c.ours.EncryptRTCP(nil, b, nil)
}

// SRTP at the receiver: packets of the sender are opened, ours are sealed.
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
	masterKeySize = 16 // bytes
	// replayWindow, in packets, spans more than can wait for one that is sent again.
	replayWindow = 1024
)

// An srtpContext opens what the sender sealed and seals what we send. A nil one leaves packets
// as they are.
type srtpContext struct {
	inbound, outbound *srtp.Context
	rtpHeader         rtp.Header
	rtcpHeader        rtcp.Header
	opened            []byte
}

func newSRTPContext(k *wire.SRTP) (*srtpContext, error) {
	if k == nil {
		return nil, nil
	}
	profiles := map[string]srtp.ProtectionProfile{
		wire.ProfileCM:  srtp.ProtectionProfileAes128CmHmacSha1_80,
		wire.ProfileGCM: srtp.ProtectionProfileAeadAes128Gcm,
	}
	profile, known := profiles[k.Profile]
	if n := wire.KeySize(k.Profile); !known || len(k.Source) != n || len(k.Receiver) != n {
		return nil, fmt.Errorf("receiver: %v: %w", k, wire.ErrKeys)
	}
	c := &srtpContext{}
	var err error
	for _, half := range []struct {
		to  **srtp.Context
		key []byte
	}{{&c.inbound, k.Source}, {&c.outbound, k.Receiver}} {
		*half.to, err = srtp.CreateContext(half.key[:masterKeySize], half.key[masterKeySize:], profile,
			srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
		if err != nil {
			return nil, fmt.Errorf("receiver: %v: %w: %w", k, wire.ErrKeys, err)
		}
	}
	return c, nil
}

// openRTP decrypts a packet into the context's own memory; not ok: it came before (repeated),
// is not the sender's or was changed on its way.
func (c *srtpContext) openRTP(b []byte) (plain []byte, ok, repeated bool) {
	if c == nil {
		return b, true, false
	}
	plain, err := c.inbound.DecryptRTP(c.opened[:0], b, &c.rtpHeader)
	if err != nil {
		return nil, false, strings.HasSuffix(err.Error(), "duplicated packet") // pion does not export that error
	}
	c.opened = plain
	return plain, true, false
}

func (c *srtpContext) openRTCP(b []byte) (plain []byte, ok bool) {
	switch {
	case c == nil:
		return b, true
	case len(b) < 8: // no SSRC
		return nil, false
	}
	plain, err := c.inbound.DecryptRTCP(nil, b, &c.rtcpHeader)
	return plain, err == nil
}

func (c *srtpContext) sealRTCP(b []byte) ([]byte, error) {
	if c == nil {
		return b, nil
	}
	return c.outbound.EncryptRTCP(nil, b, nil)
}

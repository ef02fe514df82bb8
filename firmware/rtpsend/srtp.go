// SRTP and SRTCP around the packets. The one place that knows github.com/pion/srtp.
// Spec: RFC 3711, RFC 7714 (AES-GCM).

package rtpsend

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// The profiles, by their names in RFC 5764 and RFC 7714.
const (
	ProfileCM  = "AES_CM_128_HMAC_SHA1_80"
	ProfileGCM = "AEAD_AES_128_GCM"
)

const (
	masterKeySize = 16

	// replayWindow is how far RTCP may be out of order; RFC 3711 section 3.3.2 wants 64
	// at least.
	replayWindow = 64

	// maxGrowth is a packet's under AEAD_AES_128_GCM: a tag of 16 bytes, for SRTCP
	// an index of 4.
	maxGrowth = 16 + 4
)

// ErrKeys is the cause of errors about keys that do not fit.
var ErrKeys = errors.New("not usable as SRTP keys")

// Keys are one session's: each is a master key of 16 bytes and its salt, and protects
// one direction, so that nobody can send us our own packets back.
type Keys struct {
	Profile string // ProfileCM or ProfileGCM
	Ours    []byte // for the RTP and RTCP that we send
	Theirs  []byte // for the RTCP that we get
}

// An srtpContext encrypts one stream into memory of its own. Each part has one user at a time:
// RTP is encrypted under Sender.sending, RTCP under reporting, and decrypted by exchangeRTCP.
type srtpContext struct {
	growth    int // bytes that RTP grows by
	rtp       *srtp.Context
	rtcp      *srtp.Context
	theirs    *srtp.Context
	header    rtp.Header
	control   rtcp.Header
	encrypted [packet.MaxSize + maxGrowth]byte
	decrypted [maxReport + 1]byte
}

// newSRTPContext derives the session keys. Errors wrap ErrKeys and never hold a key.
func newSRTPContext(k *Keys) (*srtpContext, error) {
	if subtle.ConstantTimeCompare(k.Ours, k.Theirs) == 1 {
		return nil, fmt.Errorf("one key for both directions: %w", ErrKeys)
	}
	c := &srtpContext{growth: 10}
	if k.Profile == ProfileGCM {
		c.growth = 16
	}
	var err error
	for _, half := range []struct {
		to  **srtp.Context
		key []byte
	}{{&c.rtp, k.Ours}, {&c.rtcp, k.Ours}, {&c.theirs, k.Theirs}} {
		if *half.to, err = newPionContext(k.Profile, half.key); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func newPionContext(profile string, key []byte) (*srtp.Context, error) {
	size, kind := 0, srtp.ProtectionProfile(0)
	switch profile {
	case ProfileCM:
		size, kind = masterKeySize+14, srtp.ProtectionProfileAes128CmHmacSha1_80
	case ProfileGCM:
		size, kind = masterKeySize+12, srtp.ProtectionProfileAeadAes128Gcm
	default:
		return nil, fmt.Errorf("profile %.40q: %w", profile, ErrKeys)
	}
	if len(key) != size {
		return nil, fmt.Errorf("%s with key and salt of %d bytes, want %d: %w", profile, len(key), size, ErrKeys)
	}
	master, salt := key[:masterKeySize], key[masterKeySize:]
	c, err := srtp.CreateContext(master, salt, kind, srtp.SRTCPReplayProtection(replayWindow))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", profile, ErrKeys, err)
	}
	return c, nil
}

// encryptRTP encrypts a packet; the result is the context's until the next call. The same
// packet gives the same bytes, so a resend is no second use of the key stream.
func (c *srtpContext) encryptRTP(packet []byte) ([]byte, error) {
	return c.rtp.EncryptRTP(c.encrypted[:0], packet, &c.header)
}

// encryptRTCP encrypts a compound packet into new memory: there is one a second.
func (c *srtpContext) encryptRTCP(packet []byte) ([]byte, error) {
	return c.rtcp.EncryptRTCP(nil, packet, nil)
}

// decryptRTCP decrypts what the receiver sent; it fails for what is not the receiver's,
// was changed on its way, or came before. The result is the context's until the next call.
func (c *srtpContext) decryptRTCP(b []byte) ([]byte, error) {
	if len(b) < feedback.HeaderSize+4 {
		return nil, fmt.Errorf("SRTCP of %d bytes has no SSRC", len(b))
	}
	return c.theirs.DecryptRTCP(c.decrypted[:0], b, &c.control)
}

// Keys for SRTP from the gateway's answer: read, judged, used once.
// Spec: RFC 3711 sections 8 and 9.1 (key stream reuse).

package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
)

// The profiles that a source can do, by the names that go over the wire.
const (
	ProfileCM  = "AES_CM_128_HMAC_SHA1_80"
	ProfileGCM = "AEAD_AES_128_GCM"
)

// SRTP is what protects one session. Each key is a master key and its salt and
// protects one direction.
type SRTP struct {
	Profile  string // ProfileCM or ProfileGCM
	Source   []byte // srtp_key: for the RTP and RTCP of the source; secret
	Receiver []byte // srtcp_key: for the RTCP of the receiver; secret
}

// String keeps keys out of logs.
func (s SRTP) String() string { return s.Profile + ", keys not shown" }

// KeySize is the bytes of a profile's master key and salt; 0: no profile of ours.
func KeySize(profile string) int {
	switch profile {
	case ProfileCM:
		return 16 + 14
	case ProfileGCM:
		return 16 + 12
	}
	return 0
}

// newSSRC is random and not 0, which stands for none. crypto/rand never fails.
func newSSRC() uint32 {
	var b [4]byte
	for {
		_, _ = rand.Read(b[:])
		if n := binary.BigEndian.Uint32(b[:]); n != 0 {
			return n
		}
	}
}

// readSRTP gives the keys of an answer; nil if it has none at all. Its errors wrap
// ErrKeys and hold no key.
func readSRTP(a answer, secure bool) (*SRTP, error) {
	if a.Profile == "" && a.SourceKey == "" && a.ReceiverKey == "" {
		return nil, nil
	}
	if !secure {
		return nil, fmt.Errorf("%w: they came over plain http, for everyone to read", ErrKeys)
	}
	size := KeySize(a.Profile)
	if size == 0 {
		return nil, fmt.Errorf("%w: srtp_profile %q was not offered", ErrKeys, printable(a.Profile))
	}
	s := &SRTP{Profile: a.Profile}
	for _, one := range []struct {
		name, text string
		to         *[]byte
	}{{"srtp_key", a.SourceKey, &s.Source}, {"srtcp_key", a.ReceiverKey, &s.Receiver}} {
		b, err := base64.StdEncoding.DecodeString(one.text)
		if err != nil || len(b) != size {
			return nil, fmt.Errorf("%w: %s is not the base64 of %d bytes", ErrKeys, one.name, size)
		}
		*one.to = b
	}
	return s, nil
}

// keysKept is how many sessions a key is remembered for: at one a minute, three days
// of a gateway that grants and breaks. A key that comes back later still meets a new
// SSRC, so that its key stream is another one.
const keysKept = 4096

// usedKeys remembers keys by their SHA-256, so that none is used twice. It forgets at a
// restart, after which only the new SSRC protects.
type usedKeys struct{ list [][sha256.Size]byte }

// check notes the keys of a grant. Errors: ErrPlain, ErrKeys.
func (u *usedKeys) check(s *SRTP, required bool) error {
	if s == nil {
		if required {
			return fmt.Errorf("gateway: %w", ErrPlain)
		}
		return nil
	}
	if subtle.ConstantTimeCompare(s.Source, s.Receiver) == 1 {
		return fmt.Errorf("gateway: %w: one key for both directions", ErrKeys)
	}
	for _, key := range [][]byte{s.Source, s.Receiver} {
		sum := sha256.Sum256(key)
		if slices.Contains(u.list, sum) {
			return fmt.Errorf("gateway: %w: one was offered before", ErrKeys)
		}
		u.list = append(u.list[max(0, len(u.list)-2*keysKept+1):], sum)
	}
	return nil
}

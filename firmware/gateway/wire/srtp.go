// SRTP's fields of an answer: a profile and one key for each direction, in base64.
// Spec: RFC 3711 section 8, RFC 7714 (AES-GCM).

package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// The profiles that a source can do, by the names that go over the wire.
const (
	ProfileCM  = "AES_CM_128_HMAC_SHA1_80"
	ProfileGCM = "AEAD_AES_128_GCM"
)

// ErrKeys is wrapped by every error about keys that cannot be used.
var ErrKeys = errors.New("the gateway's keys for SRTP cannot be used")

// SRTP is what protects one session. Each key is a master key and its salt and protects
// one direction.
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

// SetSRTP writes keys into an answer; nil leaves it as it is.
func (a *Answer) SetSRTP(s *SRTP) {
	if s == nil {
		return
	}
	a.Profile = s.Profile
	a.SourceKey = base64.StdEncoding.EncodeToString(s.Source)
	a.ReceiverKey = base64.StdEncoding.EncodeToString(s.Receiver)
}

// SRTP reads the keys of an answer; nil if it has none at all. Its errors wrap ErrKeys and
// hold no key.
func (a Answer) SRTP() (*SRTP, error) {
	if a.Profile == "" && a.SourceKey == "" && a.ReceiverKey == "" {
		return nil, nil
	}
	size := KeySize(a.Profile)
	if size == 0 {
		return nil, fmt.Errorf("%w: srtp_profile %q was not offered", ErrKeys, Printable(a.Profile))
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

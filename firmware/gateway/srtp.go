// Keys for SRTP from the gateway's answer: read, judged, used once.
// Spec: RFC 3711 sections 8 and 9.1 (key stream reuse).

package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

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
// wire.ErrKeys and hold no key.
func readSRTP(a wire.Answer, secure bool) (*wire.SRTP, error) {
	keys, err := a.SRTP()
	if !secure && (keys != nil || err != nil) {
		return nil, fmt.Errorf("%w: they came over plain http, for everyone to read", wire.ErrKeys)
	}
	return keys, err
}

// keySessionsKept is for how many sessions a key is remembered: at one a minute, three days of
// a gateway that grants and breaks. A key that comes back later still meets a new SSRC, so
// that its key stream is another one.
const keySessionsKept = 4096

// usedKeys remembers keys by their SHA-256, so that none is used twice. It forgets at a
// restart, after which only the new SSRC protects.
type usedKeys struct{ hashes [][sha256.Size]byte }

// admitKeys notes the keys of a grant, or says why they may not be used: ErrNoKeys, wire.ErrKeys.
func (u *usedKeys) admitKeys(s *wire.SRTP, required bool) error {
	if s == nil {
		if required {
			return fmt.Errorf("gateway: %w", ErrNoKeys)
		}
		return nil
	}
	if subtle.ConstantTimeCompare(s.Source, s.Receiver) == 1 {
		return fmt.Errorf("gateway: %w: one key for both directions", wire.ErrKeys)
	}
	for _, key := range [][]byte{s.Source, s.Receiver} {
		sum := sha256.Sum256(key)
		if slices.Contains(u.hashes, sum) {
			return fmt.Errorf("gateway: %w: one was offered before", wire.ErrKeys)
		}
		u.hashes = append(u.hashes[max(0, len(u.hashes)-2*keySessionsKept+1):], sum)
	}
	return nil
}

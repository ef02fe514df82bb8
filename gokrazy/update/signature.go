// The signature of a manifest, by aead.dev/minisign: the one place that knows it.

package update

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// Verify checks that raw, a manifest's bytes, was signed by one of keys: minisign's public keys, as
// its files have them on their second line. sig is the signature's file. Only minisign's hashed form
// counts (-H; since 0.10 its default).
//
// Without keys it says ErrNoKey; else what is wrong is ErrSignature. A key that cannot be read is
// passed over: it must not keep the others from being believed.
func Verify(raw, sig []byte, keys []string) error {
	if len(keys) == 0 {
		return ErrNoKey
	}
	if len(raw) > MaxManifest {
		return fmt.Errorf("%w: longer than %d bytes", ErrManifest, MaxManifest)
	}
	s, err := parseSignature(sig)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	var known []string
	named := false
	for _, text := range keys {
		key, err := parseKey(text)
		if err != nil {
			continue
		}
		known = append(known, KeyName(key.ID()))
		if key.ID() != s.KeyID {
			continue
		}
		if minisign.Verify(key, raw, sig) { // its trusted comment, too
			return nil
		}
		named = true // the id is only a name: another key may have the same
	}
	if named {
		return fmt.Errorf("%w: key %s did not sign these bytes", ErrSignature, KeyName(s.KeyID))
	}
	return fmt.Errorf("%w: signed by key %s, this board believes %s",
		ErrSignature, KeyName(s.KeyID), strings.Join(known, ", "))
}

// parseSignature takes a signature in the one form that minisign writes, and says in words what
// others are.
func parseSignature(sig []byte) (minisign.Signature, error) {
	var s minisign.Signature
	if len(sig) > MaxSignature {
		return s, fmt.Errorf("longer than %d bytes", MaxSignature)
	}
	if len(sig) == 0 {
		return s, errors.New("not signed")
	}
	if err := s.UnmarshalText(sig); err != nil {
		return s, err
	}
	if s.Algorithm != minisign.HashEdDSA {
		return s, errors.New("in minisign's legacy form: sign with minisign -H, or camctl bundle")
	}
	// One signature has one file: no second line end, no other spelling of the same base64.
	if text, err := s.MarshalText(); err != nil || !bytes.Equal(text, sig) {
		return s, errors.New("not as minisign writes it")
	}
	return s, nil
}

// KeyName is how minisign names a key: 16 hexadecimal digits.
func KeyName(id uint64) string { return fmt.Sprintf("%016X", id) }

// CheckKey says whether text is a public key as Verify takes it (ErrKey).
func CheckKey(text string) error {
	_, err := parseKey(text)
	return err
}

// parseKey takes the key alone, 56 characters, in the one form that minisign writes.
func parseKey(text string) (minisign.PublicKey, error) {
	var key minisign.PublicKey
	if err := key.UnmarshalText([]byte(text)); err != nil || key.String() != text {
		return key, fmt.Errorf("%w: %.80q: 56 characters that begin with RW", ErrKey, text)
	}
	return key, nil
}

// TrustedKeys are the keys that may sign the next update of a board: those of the promoted slot's
// manifest or, if it has none, those of the board's configuration. None at all is ErrNoKey.
func TrustedKeys(promoted Manifest, configured []string) ([]string, error) {
	switch {
	case len(promoted.Keys) > 0:
		return slices.Clone(promoted.Keys), nil
	case len(configured) > 0:
		return slices.Clone(configured), nil
	}
	return nil, ErrNoKey
}

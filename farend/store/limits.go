// What a customer may be given, whoever asks: the API, the command line, the gateway's administrator.

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a customer.
const (
	NameMax         = 100 // characters
	CamerasMax      = 100_000
	AnalysesMax     = 20
	AnalysisNameMax = 40 // characters of a name
	RecordMax       = 1 << 50
	RecordAgeS      = 100 * 366 * 24 * 3600 // seconds
)

// check says in words that name the field what cannot be kept: ErrCustomer.
func (c Customer) check() error {
	name := storable(strings.TrimSpace(c.Name))
	n := utf8.RuneCountInString(name)
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	hash, err := hex.DecodeString(c.KeyHash)
	age := c.RecordAge / time.Second
	switch {
	case n < 1 || n > NameMax || strings.ContainsFunc(name, unprintable):
		return fmt.Errorf("%w: name must be text of 1 to %d characters on one line", ErrCustomer, NameMax)
	case err != nil || len(hash) != sha256.Size:
		return fmt.Errorf("%w: the key's hash is none", ErrCustomer)
	case c.CamerasMax < 0 || c.CamerasMax > CamerasMax:
		return fmt.Errorf("%w: cameras_max must be a whole number from 0 to %d", ErrCustomer, CamerasMax)
	case c.RecordBytes < -1 || c.RecordBytes > RecordMax:
		return fmt.Errorf("%w: record_bytes must be a whole number from -1 to %d", ErrCustomer, int64(RecordMax))
	case age < -1 || age > RecordAgeS:
		return fmt.Errorf("%w: record_age_s must be a whole number from -1 to %d", ErrCustomer, int64(RecordAgeS))
	}
	if err := CheckAnalyses(c.Analyses); err != nil {
		return fmt.Errorf("%w: analyses must be %w", ErrCustomer, err)
	}
	if !c.ValidUntil.IsZero() {
		if err := CheckUntil(c.ValidUntil); err != nil {
			return fmt.Errorf("%w: valid_until must be %w", ErrCustomer, err)
		}
	}
	return nil
}

// CheckUntil refuses the end of a key that somebody wrote and that would be kept as none: what is meant to
// have ended long ago must not be valid for ever. Its error completes "must be".
func CheckUntil(t time.Time) error {
	if t.Year() > 9000 || micros(t) <= 0 {
		return errors.New("a time after 1970, such as 2030-12-31T23:59:59Z")
	}
	return nil
}

// CheckAnalyses judges names of analyses. Its error completes "must be".
func CheckAnalyses(names []string) error {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	bad := func(s string) bool { return s == "" || len(s) > AnalysisNameMax || strings.ContainsFunc(s, odd) }
	if len(names) > AnalysesMax || slices.ContainsFunc(names, bad) {
		return fmt.Errorf("a list of at most %d names, each of 1 to %d letters, digits, dots, hyphens, underlines",
			AnalysesMax, AnalysisNameMax)
	}
	return nil
}

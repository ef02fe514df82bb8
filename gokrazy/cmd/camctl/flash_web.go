// What camctl flash adds to a seed: a TLS key, and a password for the board's HTTPS.

package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/remote"
)

const (
	// madeCost is bcrypt's for a password of 130 random bits, which nobody guesses: a BeagleBone compares it
	// in a quarter of a second (estimate).
	madeCost = 8
	// givenCost is for a password that somebody thought of: a second on a BeagleBone, and on every machine
	// of whoever has stolen the card.
	givenCost = 10
	// maxWebPassword is what bcrypt looks at.
	maxWebPassword = 72
)

// webFlags say what becomes of a card's section web.
type webFlags struct {
	none bool
	passwordFlags
}

func (f *webFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.none, "no-web", false, "give the card no password and no TLS key")
	f.passwordFlags.add(cmd, "`FILE` with the password for the board's HTTPS (default: a random one, shown once)")
	cmd.MarkFlagsMutuallyExclusive("no-web", "password-file")
}

// madeWeb is what a card got.
type madeWeb struct {
	Fingerprint string `json:"fingerprint,omitempty"` // of its certificate
	Password    string `json:"password,omitempty"`    // if it was made here
}

// addTo adds to a seed, nil for none, what it does not say itself. defaults are those of its image.
func (f *webFlags) addTo(seed, defaults []byte) ([]byte, madeWeb, error) {
	var made madeWeb
	if f.none {
		return seed, made, nil
	}
	c, err := config.ParseSeed(defaults, config.SeedName, seedOrEmpty(seed))
	if err != nil {
		return nil, made, err
	}
	add := map[string]string{}
	if err := made.addPassword(add, c.Web, f.file); err != nil {
		return nil, made, err
	}
	if err := made.addPair(add, c.Web); err != nil {
		return nil, made, err
	}
	out, err := withSection(seedOrEmpty(seed), "web", add)
	if err != nil {
		return nil, made, err
	}
	if _, err := config.ParseSeed(defaults, config.SeedName, out); err != nil {
		return nil, made, fmt.Errorf("seed with password and TLS key: %w", err)
	}
	return out, made, nil
}

func seedOrEmpty(seed []byte) []byte {
	if seed == nil {
		return []byte("{}")
	}
	return seed
}

// addPassword leaves a hash alone that the owner has put into the seed.
func (m *madeWeb) addPassword(add map[string]string, web config.Web, file string) error {
	password, cost := "", givenCost
	switch {
	case file != "":
		var err error
		if password, err = readPassword(file); err != nil {
			return err
		}
	case web.PasswordHash != "":
		return nil
	default:
		password, cost = rand.Text(), madeCost
		m.Password = password
	}
	if len(password) > maxWebPassword {
		return fmt.Errorf("--password-file: %d bytes, a board looks at %d", len(password), maxWebPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return fmt.Errorf("password: %w", err)
	}
	add["password-hash"] = string(hash)
	return nil
}

// addPair leaves a pair alone that the owner has put into the seed, if it fits.
func (m *madeWeb) addPair(add map[string]string, web config.Web) (err error) {
	pair := certificate.Pair{Certificate: web.TLSCertificate, Key: web.TLSKey}
	if pair == (certificate.Pair{}) {
		if pair, err = certificate.Make(); err != nil {
			return err
		}
		add["tls-certificate"], add["tls-key"] = pair.Certificate, pair.Key
	}
	if _, err := pair.TLS(); err != nil {
		return fmt.Errorf("seed: web: %w", err)
	}
	m.Fingerprint, err = pair.Fingerprint()
	return err
}

// withSection adds keys to a section of a seed. All else stays as it is, but for its order and layout.
func withSection(seed []byte, section string, add map[string]string) ([]byte, error) {
	if len(add) == 0 {
		return seed, nil
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(cutToJSON(seed), &all); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	keys := map[string]json.RawMessage{}
	if old, ok := all[section]; ok {
		if err := json.Unmarshal(old, &keys); err != nil {
			return nil, fmt.Errorf("seed: %s: %w", section, err)
		}
	}
	for key, value := range add {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("seed: %s: %w", section, err)
		}
		keys[key] = text
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("seed: %s: %w", section, err)
	}
	all[section] = text
	out, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	return append(out, '\n'), nil
}

// cutToJSON drops what package config ignores: a byte order mark, blanks and zeros behind the text.
func cutToJSON(seed []byte) []byte {
	return []byte(strings.TrimRight(strings.TrimPrefix(string(seed), "\xef\xbb\xbf"), " \t\r\n\x00"))
}

// remember keeps the fingerprint for camctl update and its kind. The card is made either way.
func (m madeWeb) remember(cmd *cobra.Command) {
	if m.Fingerprint == "" {
		return
	}
	known, err := remote.OpenUsersKnown()
	if err == nil {
		err = known.AddMade(m.Fingerprint, time.Now())
	}
	if err != nil {
		newLog(cmd).Warn("flash: the fingerprint is not remembered: give it to camctl update --fingerprint",
			"error", err)
	}
}

// say shows what the owner needs to reach the board.
func (m madeWeb) say(cmd *cobra.Command) {
	if m.Password != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "password of the board's HTTPS, shown only here: %s\n", m.Password)
	}
	if m.Fingerprint != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "fingerprint of its certificate: %s\n", m.Fingerprint)
	}
}

// An update that a gateway offers to a source.

package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Limits of an offer, in bytes: a URL of this length passes every server and proxy.
const (
	maxUpdateURL     = 2048
	maxUpdateVersion = 64
)

// ErrUpdate is wrapped by every error about an offer that cannot be used.
var ErrUpdate = errors.New("the gateway's offer of an update cannot be used")

// An Update is where a signed bundle lies that the source may fetch: an addition to the answers to
// start_stream and validate_stream, good ones and refusals. Who offers is not believed: the board
// checks signature, board and age of what it fetches.
type Update struct {
	URL     string `json:"url"` // https
	Version string `json:"version"`
	Now     Bool   `json:"now,omitempty"` // at once; else at a random moment within an hour
}

// UnmarshalJSON never fails: a field that cannot be read counts as empty, which Check refuses.
func (u *Update) UnmarshalJSON(b []byte) error {
	*u = Update{}
	var fields map[string]json.RawMessage
	if json.Unmarshal(b, &fields) != nil {
		return nil
	}
	u.URL = strings.TrimSpace(lenientText(fields["url"]))
	u.Version = strings.TrimSpace(lenientText(fields["version"]))
	u.Now = Bool(lenientBool(fields["now"]))
	return nil
}

// Check says what keeps an offer from being used. Its errors wrap ErrUpdate, are printable and have
// nothing of the URL but its scheme and its host: the rest may hold what must not be in a log.
func (u Update) Check() error {
	if v := u.Version; v == "" || len(v) > maxUpdateVersion || Printable(v) != v || strings.ContainsAny(v, " /\\") {
		return fmt.Errorf("%w: its version %.80q must be one word of up to %d bytes",
			ErrUpdate, Printable(v), maxUpdateVersion)
	}
	if len(u.URL) > maxUpdateURL {
		return fmt.Errorf("%w: its url has %d bytes, more than %d", ErrUpdate, len(u.URL), maxUpdateURL)
	}
	at, err := url.Parse(u.URL)
	switch {
	case err != nil: // which holds the URL itself
		return fmt.Errorf("%w: its url cannot be read", ErrUpdate)
	case at.Scheme != "https":
		return fmt.Errorf("%w: its url must begin with https:, not with %.20q", ErrUpdate, Printable(at.Scheme))
	case at.Hostname() == "" || at.Opaque != "":
		return fmt.Errorf("%w: its url names no host", ErrUpdate)
	case at.User != nil:
		return fmt.Errorf("%w: its url holds a name or password", ErrUpdate)
	case Printable(u.URL) != u.URL || strings.ContainsAny(u.URL, " \\"):
		return fmt.Errorf("%w: its url has characters that no URL has", ErrUpdate)
	}
	return nil
}

// Place is the offer for logs: the URL without query and fragment, which may hold a secret.
func (u Update) Place() string {
	at, err := url.Parse(u.URL)
	if err != nil {
		return ""
	}
	return Printable((&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path}).String())
}

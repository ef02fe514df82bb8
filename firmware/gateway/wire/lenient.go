// The types of an answer's fields: how each is read, whoever wrote it.

package wire

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Int is a whole number, which may come as 5004, 5004.0 or "5004". Its zero value was not
// said, which is not the number 0.
type Int struct {
	N    int
	Said bool
}

// NewInt is the number n, said.
func NewInt(n int) Int { return Int{N: n, Said: true} }

// IsZero tells encoding/json (omitzero) that nothing was said.
func (n Int) IsZero() bool { return !n.Said }

// MarshalJSON writes a plain number.
func (n Int) MarshalJSON() ([]byte, error) {
	if !n.Said {
		return []byte("null"), nil
	}
	return strconv.AppendInt(nil, int64(n.N), 10), nil
}

// UnmarshalJSON refuses what is no whole number.
func (n *Int) UnmarshalJSON(b []byte) error {
	s := strings.TrimSpace(strings.Trim(string(b), `"`))
	if s == "null" || s == "" {
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != float64(int32(f)) {
		return fmt.Errorf("%.20q is not a whole number", s)
	}
	*n = NewInt(int(f))
	return nil
}

// OptionalInt is a number of an addition: one that cannot be read was not said.
type OptionalInt struct{ Int }

// UnmarshalJSON never fails.
func (n *OptionalInt) UnmarshalJSON(b []byte) error {
	if n.Int.UnmarshalJSON(b) != nil {
		n.Int = Int{}
	}
	return nil
}

// Bool is a switch of an addition: true, 1 or "1"; anything else is no.
type Bool bool

// UnmarshalJSON never fails.
func (y *Bool) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	*y = s == "true" || s == "1"
	return nil
}

// Text is words for the log, printable and short: anything that is not a string is kept
// as JSON.
type Text string

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	*t = Text(Printable(s))
	return nil
}

// maxPrintable is how many characters of the other end's words a log line shows.
const maxPrintable = 200

// Printable keeps the other end's words from forging log lines or flooding them.
func Printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if r := []rune(s); len(r) > maxPrintable {
		s = string(r[:maxPrintable]) + "…"
	}
	return strings.TrimSpace(s)
}

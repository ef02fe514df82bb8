// Bodies of requests: one JSON object of known members, each with its limits.

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/krazycam/krazycam/farend/store"
)

// bodyMax, in bytes, is many times the longest body that makes sense.
const bodyMax = 64 << 10

// fields are the members that a body may have. Each function takes a value; its error completes
// "must be ".
type fields map[string]func(json.RawMessage) error

// A body is what was sent, each member once.
type body map[string]json.RawMessage

// readBody hands each member of the body to its field.
func readBody(w http.ResponseWriter, r *http.Request, known fields) error {
	_, err := keepBody(w, r, known)
	return err
}

// keepBody does so, too, and gives what was sent, to be applied to other fields.
func keepBody(w http.ResponseWriter, r *http.Request, known fields) (body, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "application/merge-patch+json" {
		return nil, problem(http.StatusUnsupportedMediaType, "media-type",
			"the body must be JSON: send Content-Type: application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, badJSON(err)
	}
	sent := body{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, badJSON(err)
		}
		member := name.(string) // the decoder takes nothing else for a name
		var value json.RawMessage
		if _, twice := sent[member]; twice || known[member] == nil {
			return nil, wrongMember(member, known)
		}
		if err := d.Decode(&value); err != nil {
			return nil, badJSON(err)
		}
		sent[member] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, badJSON(err)
	}
	endReadDeadline(w)
	return sent, sent.apply(known)
}

// apply hands what was sent to its fields.
func (b body) apply(to fields) error {
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if err := to[name](b[name]); err != nil {
			return badField(name, "must be %v", err)
		}
	}
	return nil
}

// names are the members that were sent, for an event.
func (b body) names() string { return strings.Join(slices.Sorted(maps.Keys(b)), ", ") }

func wrongMember(name string, known fields) error {
	p := problem(http.StatusBadRequest, "unknown-field",
		"there is no member %q here, or it stands there twice; there are %s", printable(name),
		strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	p.Field = printable(name)
	return p
}

// badJSON is what cannot be read: err says why, nil that it is no object.
func badJSON(err error) error {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return err
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errors.New("that is none")
	}
	return problem(http.StatusBadRequest, "bad-json", "the body must be one JSON object: %v", err)
}

// printable shortens a stranger's words for an answer.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s[:min(len(s), 40)])
	return strings.ToValidUTF8(s, "?")
}

// text takes from low to high characters that can be printed.
func text(to *string, low, high int) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var s string
		err := json.Unmarshal(raw, &s)
		odd := func(r rune) bool { return !unicode.IsPrint(r) }
		s = strings.TrimSpace(s)
		n := utf8.RuneCountInString(s)
		if err != nil || raw[0] != '"' || n < low || n > high || strings.ContainsFunc(s, odd) {
			return fmt.Errorf("text of %d to %d characters on one line", low, high)
		}
		*to = s
		return nil
	}
}

// whole takes a whole number.
func whole[T int | int64](to *T, low, high T) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var n T
		if err := json.Unmarshal(raw, &n); err != nil || raw[0] == 'n' || n < low || n > high {
			return fmt.Errorf("a whole number from %d to %d", low, high)
		}
		*to = n
		return nil
	}
}

func flag(to *bool) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if err := json.Unmarshal(raw, to); err != nil || raw[0] == 'n' {
			return errors.New("true or false")
		}
		return nil
	}
}

// moment takes a time, or null for none.
func moment(to *time.Time) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var t time.Time
		err := json.Unmarshal(raw, &t)
		if err != nil || raw[0] != 'n' && store.CheckUntil(t) != nil {
			return errors.New("a time after 1970 such as 2027-01-31T00:00:00Z, or null for none")
		}
		*to = t.UTC()
		return nil
	}
}

// seconds takes a duration.
func seconds(to *time.Duration, low, high int64) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var n int64
		err := whole(&n, low, high)(raw)
		if err == nil {
			*to = time.Duration(n) * time.Second
		}
		return err
	}
}

// analyses takes a list of names.
func analyses(to *[]string) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var list []string
		if json.Unmarshal(raw, &list) != nil || raw[0] == 'n' {
			return errors.New("a list of names")
		}
		if err := store.CheckAnalyses(list); err != nil {
			return err
		}
		slices.Sort(list)
		*to = slices.Compact(list)
		return nil
	}
}

// checkFields is apply for values that did not come as JSON.
func checkFields(values map[string]any, known fields) error {
	sent := body{}
	for name, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		sent[name] = text
	}
	return sent.apply(known)
}

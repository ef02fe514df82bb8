// Lists in parts, and what is asked for in a query.

package api

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	limitDefault = 100
	limitMax     = 1000
)

// A page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // what to send as "after" for the next part; "": this was the last
}

// pageOf cuts a list of limit+1 items at most, and names the last of them that stays.
func pageOf[T any](items []T, limit int, cursor func(T) string) page[T] {
	p := page[T]{Items: items}
	if len(items) > limit {
		p.Items = items[:limit]
		p.Next = base64.RawURLEncoding.EncodeToString([]byte(cursor(items[limit-1])))
	}
	if p.Items == nil {
		p.Items = []T{}
	}
	return p
}

// A query reads the parameters of a list and remembers the first that is wrong.
type query struct {
	values url.Values
	err    error
}

// queryOf refuses parameters that the list does not know, by name: a filter that is spelt wrong would else
// give everything.
func queryOf(r *http.Request, known ...string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.err = problem(http.StatusBadRequest, "bad-query", "the query cannot be read: %v", err)
		return q
	}
	for name, all := range values {
		if !slices.Contains(known, name) || len(all) != 1 {
			p := problem(http.StatusBadRequest, "unknown-parameter",
				"there is no parameter %q here, or it stands there twice; there are %s", printable(name),
				strings.Join(known, ", "))
			p.Field = printable(name)
			q.err = p
			return q
		}
	}
	return q
}

func (q *query) wrong(name, form string) {
	if q.err == nil {
		q.err = badField(name, "must be %s", form)
	}
}

func (q *query) text(name string) string { return q.values.Get(name) }

func (q *query) number(name string, low, high, without int64) int64 {
	s := q.values.Get(name)
	if s == "" {
		return without
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < low || n > high {
		q.wrong(name, "a whole number from "+strconv.FormatInt(low, 10)+" to "+strconv.FormatInt(high, 10))
	}
	return n
}

func (q *query) limit() int { return int(q.number("limit", 1, limitMax, limitDefault)) }

// cursor is what "next" of the part before said, "" for the first part.
func (q *query) cursor() string {
	text, err := base64.RawURLEncoding.DecodeString(q.values.Get("after"))
	if err != nil {
		q.wrong("after", `the "next" of the answer before`)
	}
	return string(text)
}

func (q *query) choice(name string, of ...string) string {
	s := q.values.Get(name)
	if s != "" && !slices.Contains(of, s) {
		q.wrong(name, strings.Join(of, " or "))
	}
	return s
}

func (q *query) moment(name string) time.Time {
	s := q.values.Get(name)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		q.wrong(name, "a time such as 2027-01-31T00:00:00Z")
	}
	return t
}

// source is a utilization id; see SourceID.
func (q *query) source(name string) wire.ID { return SourceID(q.values.Get(name)) }

// customer is whose things are asked for, 0 for all: of those that a caller sees. ok is false if there can
// be none.
func (q *query) customer(c Caller) (customer int64, ok bool) {
	customer = q.number("customer", 1, 1<<62, 0)
	if c.Administrator {
		return customer, true
	}
	return c.Customer, customer == 0 || customer == c.Customer
}

// SourceID reads a utilization id as a path has it. An id that is a number, which an older gateway may have
// given out, is written with a # before its digits (%23 in a URL): the text "5" and the number 5 differ.
func SourceID(s string) wire.ID {
	if digits, isNumber := strings.CutPrefix(s, "#"); isNumber {
		var id wire.ID
		if _, err := strconv.ParseFloat(digits, 64); err == nil && id.UnmarshalJSON([]byte(digits)) == nil {
			return id
		}
	}
	return wire.TextID(s)
}

// timeOrNone is a time in an answer, null for none.
func timeOrNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

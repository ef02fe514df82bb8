// The types of settings: what each takes from the file and from a command line.

package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Kind is the shape of a value in the file.
type Kind int

// The kinds there are.
const (
	Text    Kind = iota // "…"
	Number              // a whole number
	Switch              // true or false
	List                // ["…", …]; on the command line with commas between the items
	Objects             // [{…}, …]; not for the command line
)

// A Value is what a setting takes, with its place in a Settings.
type Value struct {
	Kind Kind
	Hint string // stands for the value in help: HOST:PORT
	Form string // what is right, in the words that follow "must be" in an error

	set  func(text string) error // not of Objects
	read func(raw json.RawMessage) error
	show func() string
}

// errForm is a value of the wrong form, of which the Value's Form says enough.
var errForm = errors.New("wrong form")

// Set takes a value as a command line has it.
func (v Value) Set(text string) error {
	err := v.set(text)
	if errors.Is(err, errForm) {
		return fmt.Errorf("%q must be %s", text, v.Form)
	}
	return err
}

// String gives the value as Set takes it, "" if nothing was said.
func (v Value) String() string { return v.show() }

// take takes a value as the file has it.
func (v Value) take(raw json.RawMessage) error {
	if v.Kind == Objects {
		return v.read(raw)
	}
	text, ok := v.fromJSON(raw)
	if !ok {
		return fmt.Errorf("must be %s", v.inFile())
	}
	return v.Set(text)
}

// inFile is the Form, with the quotation marks that people forget.
func (v Value) inFile() string {
	switch v.Kind {
	case Text:
		return v.Form + `, in " "`
	case List:
		return v.Form + `, in [ ] and each in " "`
	}
	return v.Form
}

// fromJSON makes of a value of the right kind what a command line would have.
func (v Value) fromJSON(raw json.RawMessage) (text string, ok bool) {
	switch v.Kind {
	case Text:
		return text, raw[0] == '"' && json.Unmarshal(raw, &text) == nil
	case List:
		var all []string
		ok = raw[0] == '[' && json.Unmarshal(raw, &all) == nil
		return strings.Join(all, ","), ok
	case Switch:
		return string(raw), raw[0] == 't' || raw[0] == 'f'
	}
	return string(raw), raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'
}

// text takes any text on one line that check finds right; nil: all of them.
func text(to *string, hint, form string, check func(string) bool) Value {
	set := func(s string) error {
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) ||
			s != "" && check != nil && !check(s) {
			return errForm
		}
		*to = s
		return nil
	}
	return Value{Kind: Text, Hint: hint, Form: form, set: set, show: func() string { return *to }}
}

// path takes the name of a file or a folder.
func path(to *string, what string) Value { return text(to, strings.ToUpper(what), "a "+what, nil) }

// listen takes where a server listens. Port 0 is any free one.
func listen(to *string) Value {
	return text(to, "HOST:PORT", "HOST:PORT or :PORT", func(s string) bool {
		_, port, err := net.SplitHostPort(s)
		_, portErr := strconv.ParseUint(port, 10, 16)
		return err == nil && portErr == nil
	})
}

// host takes a name or an address without a port.
func host(to *string) Value {
	return text(to, "HOST", "a host name or an address, without a port", func(s string) bool {
		return len(s) <= 253 && (net.ParseIP(s) != nil || !strings.ContainsAny(s, " /:[]@,"))
	})
}

// choice takes one of the words.
func choice(to *string, words ...string) Value {
	return text(to, strings.Join(words, "|"), "one of "+strings.Join(words, ", "),
		func(s string) bool { return slices.Contains(words, s) })
}

func level(to *slog.Level) Value {
	set := func(s string) error {
		if !slices.Contains([]string{"debug", "info", "warn", "error"}, s) {
			return errForm
		}
		return to.UnmarshalText([]byte(s))
	}
	return Value{Kind: Text, Hint: "LEVEL", Form: "one of debug, info, warn, error", set: set,
		show: func() string { return strings.ToLower(to.String()) }}
}

func number(to *int, low, high int) Value {
	set := func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return errForm
		}
		*to = n
		return nil
	}
	return Value{Kind: Number, Hint: "N", Form: fmt.Sprintf("a whole number from %d to %d", low, high),
		set: set, show: func() string { return strconv.Itoa(*to) }}
}

func toggle(to *bool) Value {
	set := func(s string) error {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errForm
		}
		*to = b
		return nil
	}
	return Value{Kind: Switch, Form: "true or false", set: set,
		show: func() string { return strconv.FormatBool(*to) }}
}

// list takes items with commas between them; nothing is the empty list.
func list(to *[]string, hint, form string, check func(string) bool) Value {
	set := func(s string) error {
		var all []string
		for item := range strings.SplitSeq(s, ",") {
			if item = strings.TrimSpace(item); item == "" && s == "" {
				continue
			}
			if !check(item) {
				return errForm
			}
			all = append(all, item)
		}
		*to = all
		return nil
	}
	return Value{Kind: List, Hint: hint + ",…", Form: form, set: set,
		show: func() string { return strings.Join(*to, ",") }}
}

// day is what people mean where they write 30d.
const day = 24 * time.Hour

// duration takes 90s, 15m, 12h, 30d; zero is what 0 means, "" if it is not to be had.
func duration(to *time.Duration, low, high time.Duration, zero string) Value {
	form := fmt.Sprintf("a time from %s to %s", durationText(low), durationText(high))
	if zero != "" {
		form += ", or 0: " + zero
	}
	set := func(s string) error {
		d, err := parseDuration(s)
		if err != nil || (d < low || d > high) && (d != 0 || zero == "") {
			return errForm
		}
		*to = d
		return nil
	}
	return Value{Kind: Text, Hint: "TIME", Form: form, set: set, show: func() string { return durationText(*to) }}
}

func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * day, err
	}
	return time.ParseDuration(s)
}

func durationText(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// units are those of disks and networks: powers of 1000.
var units = []struct {
	name string
	is   int64
}{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}}

// size takes 500M, 20G, 2T, or plain bytes; 0 is what zero says.
func size(to *int64, low int64, zero string) Value {
	form := fmt.Sprintf("a size from %s, or 0: %s", sizeText(low), zero)
	set := func(s string) error {
		n, err := parseSize(s)
		if err != nil || n < low && n != 0 {
			return errForm
		}
		*to = n
		return nil
	}
	return Value{Kind: Text, Hint: "SIZE", Form: form, set: set, show: func() string { return sizeText(*to) }}
}

func parseSize(s string) (int64, error) {
	unit := int64(1)
	for _, u := range units {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = digits, u.is
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || int64(n) > (1<<63-1)/unit {
		return 0, errForm
	}
	return int64(n) * unit, nil
}

func sizeText(n int64) string {
	for _, u := range units {
		if n > 0 && n%u.is == 0 {
			return strconv.FormatInt(n/u.is, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

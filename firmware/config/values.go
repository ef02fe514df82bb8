// The types of settings: what each takes from the file and from a command line. An error
// says what would be right and repeats the wrong value, except for secrets.

package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

// A Kind is the shape of a value.
type Kind int

// The kinds there are, by what they are in the file.
const (
	Text   Kind = iota // text; sizes and bitrates, too
	Choice             // text, one of a few words
	Number             // a whole number
	Switch             // true or false
	List               // [ ]; on the command line with commas between the items
	Object             // { } of names and numbers; not for the command line
)

// A Type says what a setting takes, for help, documentation, completion and forms.
type Type struct {
	Kind  Kind
	Hint  string   // stands for the value in help: HOST:PORT
	Form  string   // what is right, in the words that follow "must be" in an error
	Words []string // of a Choice
	Low   int      // of a Number
	High  int      // of a Number
	Item  *Type    // of a List
}

// A Value is a Type with a place for the value in a Config.
type Value struct {
	Type
	take func(value any) error // string, json.Number, bool, nil, or []any or map[string]any of these
	show func() string
}

// Set takes a value as a command line has it.
func (v Value) Set(s string) error { return v.take(v.fromText(s)) }

// String gives the value as Set takes it, "" if nothing was said.
func (v Value) String() string { return v.show() }

// fromText makes of a command line's word what the file would have. What it cannot read
// stays text, which take refuses.
func (t Type) fromText(s string) any {
	switch t.Kind {
	case Number:
		return json.Number(s)
	case Switch:
		if b, err := strconv.ParseBool(s); err == nil {
			return b
		}
	case List:
		var items []any
		for part := range strings.SplitSeq(s, ",") {
			items = append(items, t.Item.fromText(strings.TrimSpace(part)))
		}
		return items
	}
	return s
}

// wrongForm is the error about a value of the wrong form.
func (t Type) wrongForm() error { return fmt.Errorf("must be %s", t.Form) }

// wrongText repeats the wrong value.
func (t Type) wrongText(s string) error { return fmt.Errorf("%q must be %s", s, t.Form) }

var errNotText = errors.New(`must be text in " "`)

// text takes what has the form.
func text(to *string, f form) Value {
	t := Type{Kind: Text, Hint: f.hint, Form: f.words}
	take := func(value any) error {
		s, ok := value.(string)
		if !ok {
			return errNotText
		}
		switch err := f.check(s); {
		case errors.Is(err, errForm) && f.quiet:
			return t.wrongForm()
		case errors.Is(err, errForm):
			return t.wrongText(s)
		case err != nil:
			return err
		}
		*to = s
		return nil
	}
	return Value{t, take, func() string { return *to }}
}

// choice takes one of the words, or "", which says nothing.
func choice(to *string, words ...string) Value {
	t := Type{Kind: Choice, Hint: strings.Join(words, "|"), Form: "one of " + strings.Join(words, ", "), Words: words}
	take := func(value any) error {
		s, ok := value.(string)
		switch {
		case !ok:
			return errNotText
		case s != "" && !slices.Contains(words, s):
			return t.wrongText(s)
		}
		*to = s
		return nil
	}
	return Value{t, take, func() string { return *to }}
}

// level takes the words of package slog.
func level(to *slog.Level) Value {
	var word string
	v := choice(&word, "debug", "info", "warn", "error")
	take := v.take
	v.take = func(value any) error {
		if err := take(value); err != nil {
			return err
		}
		if to.UnmarshalText([]byte(word)) != nil {
			return v.wrongText(word)
		}
		return nil
	}
	v.show = func() string { return strings.ToLower(to.String()) }
	return v
}

// number takes a whole number; 0 stands for "not said".
func number(to *int, low, high int) Value {
	t := Type{Kind: Number, Hint: "N", Form: fmt.Sprintf("a whole number from %d to %d", low, high), Low: low,
		High: high}
	take := func(value any) error {
		n, ok := value.(json.Number)
		i, err := strconv.Atoi(n.String())
		if !ok || err != nil || i < low || i > high {
			return t.wrongForm()
		}
		*to = i
		return nil
	}
	show := func() string {
		if *to == 0 {
			return ""
		}
		return strconv.Itoa(*to)
	}
	return Value{t, take, show}
}

// toggle takes true or false.
func toggle(to *bool) Value {
	t := Type{Kind: Switch, Form: "true or false"}
	take := func(value any) error {
		b, ok := value.(bool)
		if !ok {
			return t.wrongForm()
		}
		*to = b
		return nil
	}
	return Value{t, take, func() string { return strconv.FormatBool(*to) }}
}

// size takes what ParseSize reads.
func size(to *Size) Value {
	t := Type{Kind: Text, Hint: "WIDTHxHEIGHT", Form: sizeWords}
	take := func(value any) error {
		s, ok := value.(string)
		if !ok {
			return errNotText
		}
		parsed, err := ParseSize(s)
		if err != nil {
			return err
		}
		*to = parsed
		return nil
	}
	return Value{t, take, func() string { return to.String() }}
}

// bitrate takes what ParseBitrate reads, and in the file a plain number, too.
func bitrate(to *Bitrate) Value {
	t := Type{Kind: Text, Hint: "BIT/S", Form: bitrateWords}
	take := func(value any) error {
		var s string
		switch v := value.(type) {
		case string:
			s = v
		case json.Number:
			s = v.String()
		default:
			return t.wrongForm()
		}
		parsed, err := ParseBitrate(s)
		if err != nil {
			return err
		}
		*to = parsed
		return nil
	}
	return Value{t, take, func() string { return to.String() }}
}

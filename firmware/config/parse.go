// The reader: a walk over JSON tokens instead of Unmarshal, because an owner who
// mistypes a key needs its line, and encoding/json would keep the last of two
// equal keys without a word.

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// With reads b over c: a key in the file replaces c's value, all others stay.
// With an error (of type *Error) c is returned unchanged.
func (c Config) With(file string, b []byte) (Config, error) {
	return c.withinLimit(file, b, MaxBytes)
}

// withinLimit is With for files of at most limit bytes.
func (c Config) withinLimit(file string, b []byte, limit int) (Config, error) {
	p := newParser(file, b)
	p.limit = limit
	next := c
	for _, section := range next.Sections() {
		p.sections[section.Name] = section.valuesByKey()
	}
	if err := p.readDocument(); err != nil {
		return c, err
	}
	return next, nil
}

// newParser has no sections yet. Windows editors put a byte order mark in front; JSON does not know
// it. Behind the text an image's placeholder has blanks, and a file that was cut off zeros.
func newParser(file string, b []byte) *parser {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if whole := bytes.TrimRight(b, " \t\r\n\x00"); len(whole) > 0 {
		b = whole
	}
	p := &parser{
		file: file, text: b, limit: MaxBytes, d: json.NewDecoder(bytes.NewReader(b)),
		sections: map[string]map[string]Value{}, seen: map[string]bool{},
	}
	p.d.UseNumber()
	return p
}

type parser struct {
	file     string
	text     []byte
	limit    int // bytes
	d        *json.Decoder
	sections map[string]map[string]Value // by name and key
	seen     map[string]bool
}

// valuesByKey finds the values of a section.
func (s Section) valuesByKey() map[string]Value {
	all := map[string]Value{}
	for _, setting := range s.Settings {
		all[setting.Key] = setting.Value
	}
	return all
}

// errorHere blames the line of the token that was read last.
func (p *parser) errorHere(key, format string, a ...any) error {
	return p.errorAt(p.d.InputOffset(), key, fmt.Sprintf(format, a...))
}

func (p *parser) errorAt(offset int64, key, text string) error {
	offset = min(max(offset, 0), int64(len(p.text)))
	return &Error{File: p.file, Line: 1 + bytes.Count(p.text[:offset], []byte("\n")), Key: key, Text: text}
}

func (p *parser) readDocument() error {
	if err := p.checkText(); err != nil {
		return err
	}
	if err := p.readObject("", p.readSection); err != nil {
		return err
	}
	return p.readEnd()
}

// checkText says what the file is if it is no UTF-8 text of the right length.
func (p *parser) checkText() error {
	if len(p.text) > p.limit {
		return p.errorAt(0, "", fmt.Sprintf("longer than %d bytes", p.limit))
	}
	if found := foreignFormat(p.text); found != "" {
		return p.errorAt(0, "", found)
	}
	if !utf8.Valid(p.text) {
		at := firstInvalid(p.text)
		return p.errorAt(at, "", notUTF8(p.text[at]))
	}
	if len(bytes.TrimSpace(p.text)) == 0 {
		return p.errorAt(0, "", "empty: write at least {}")
	}
	return nil
}

func (p *parser) readEnd() error {
	if _, err := p.d.Token(); !errors.Is(err, io.EOF) {
		return p.errorHere("", "text after the closing }")
	}
	return nil
}

// readSection reads one of the top level's values.
func (p *parser) readSection(name string) error {
	keys, known := p.sections[name]
	if !known {
		return p.errorHere(name, "unknown section (there are %s)", names(p.sections))
	}
	return p.readObject(name, func(key string) error {
		setting, known := keys[strings.TrimPrefix(key, name+".")]
		if !known {
			return p.errorHere(key, "unknown key (there are %s)", names(keys))
		}
		value, err := p.readValue(key)
		if err != nil {
			return err
		}
		if err := setting.take(value); err != nil {
			return p.errorHere(key, "%v", err)
		}
		return nil
	})
}

// readObject reads { … } and calls member for each key with its dotted name.
func (p *parser) readObject(name string, member func(key string) error) error {
	t, err := p.readToken(name)
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return p.errorHere(name, "must be an object in { }")
	}
	return p.readMembers(name, member)
}

// readMembers reads up to the closing }.
func (p *parser) readMembers(name string, member func(key string) error) error {
	for {
		t, err := p.readToken(name)
		if err != nil {
			return err
		}
		word, isKey := t.(string)
		if !isKey { // the decoder lets nothing but a string or the end through
			return nil
		}
		key := strings.TrimPrefix(name+"."+word, ".")
		if p.seen[key] {
			return p.errorHere(key, "said twice")
		}
		p.seen[key] = true
		if err := member(key); err != nil {
			return err
		}
	}
}

// readValue reads a string, number, bool, or a list or an object of them.
func (p *parser) readValue(key string) (any, error) {
	t, err := p.readToken(key)
	switch {
	case err != nil:
		return nil, err
	case t == json.Delim('['):
		return p.readList(key)
	case t == json.Delim('{'):
		members := map[string]any{}
		err := p.readMembers(key, func(name string) error {
			t, err := p.readToken(name)
			if _, nested := t.(json.Delim); nested {
				err = p.errorHere(name, "must be a plain value")
			}
			members[strings.TrimPrefix(name, key+".")] = t
			return err
		})
		return members, err
	}
	return t, nil
}

// readList reads up to the closing ].
func (p *parser) readList(key string) (any, error) {
	items := []any{}
	for {
		t, err := p.readToken(key)
		if err != nil {
			return nil, err
		}
		if t == json.Delim(']') {
			return items, nil
		}
		if _, nested := t.(json.Delim); nested {
			return nil, p.errorHere(key, "a list holds plain values only")
		}
		items = append(items, t)
	}
}

func (p *parser) readToken(key string) (json.Token, error) {
	t, err := p.d.Token()
	if err == nil {
		return t, nil
	}
	return nil, p.explain(key, err)
}

// explain says what is wrong where the decoder stopped.
func (p *parser) explain(key string, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return p.explainSyntax(key, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return p.errorAt(int64(len(bytes.TrimRight(p.text, " \t\r\n"))), key, "not JSON: the file ends too early")
	}
	return p.errorHere(key, "not JSON: %v", err)
}

func firstInvalid(b []byte) int64 {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return int64(i)
		}
		i += n
	}
	return int64(len(b))
}

// names lists the keys of m in alphabetical order.
func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

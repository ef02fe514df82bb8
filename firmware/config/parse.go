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
	// Windows editors put a byte order mark in front; JSON does not know it.
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	p := &parser{
		file: file, text: b, d: json.NewDecoder(bytes.NewReader(b)),
		sections: map[string]map[string]Value{}, seen: map[string]bool{},
	}
	p.d.UseNumber()
	next := c
	for _, section := range next.Sections() {
		p.sections[section.Name] = section.values()
	}
	if err := p.document(); err != nil {
		return c, err
	}
	return next, nil
}

type parser struct {
	file     string
	text     []byte
	d        *json.Decoder
	sections map[string]map[string]Value // by name and key
	seen     map[string]bool
}

// values of a section by their keys.
func (s Section) values() map[string]Value {
	all := map[string]Value{}
	for _, setting := range s.Settings {
		all[setting.Key] = setting.Value
	}
	return all
}

// fail blames the line of the token that was read last.
func (p *parser) fail(key, format string, a ...any) error {
	return p.failAt(p.d.InputOffset(), key, fmt.Sprintf(format, a...))
}

func (p *parser) failAt(offset int64, key, text string) error {
	offset = min(max(offset, 0), int64(len(p.text)))
	return &Error{File: p.file, Line: 1 + bytes.Count(p.text[:offset], []byte("\n")), Key: key, Text: text}
}

func (p *parser) document() error {
	if len(p.text) > MaxBytes {
		return p.failAt(0, "", fmt.Sprintf("longer than %d bytes", MaxBytes))
	}
	if !utf8.Valid(p.text) {
		return p.failAt(firstInvalid(p.text), "", "not UTF-8 text")
	}
	if len(bytes.TrimSpace(p.text)) == 0 {
		return p.failAt(0, "", "empty: write at least {}")
	}
	if err := p.object("", p.section); err != nil {
		return err
	}
	if _, err := p.d.Token(); !errors.Is(err, io.EOF) {
		return p.fail("", "text after the closing }")
	}
	return nil
}

// section reads one of the top level's values.
func (p *parser) section(name string) error {
	keys, known := p.sections[name]
	if !known {
		return p.fail(name, "unknown section (there are %s)", names(p.sections))
	}
	return p.object(name, func(key string) error {
		setting, known := keys[strings.TrimPrefix(key, name+".")]
		if !known {
			return p.fail(key, "unknown key (there are %s)", names(keys))
		}
		value, err := p.value(key)
		if err != nil {
			return err
		}
		if err := setting.take(value); err != nil {
			return p.fail(key, "%v", err)
		}
		return nil
	})
}

// object reads { … } and calls member for each key with its dotted name.
func (p *parser) object(name string, member func(key string) error) error {
	t, err := p.token(name)
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return p.fail(name, "must be an object in { }")
	}
	return p.members(name, member)
}

// members reads up to the closing }.
func (p *parser) members(name string, member func(key string) error) error {
	for {
		t, err := p.token(name)
		if err != nil {
			return err
		}
		word, isKey := t.(string)
		if !isKey { // the decoder lets nothing but a string or the end through
			return nil
		}
		key := strings.TrimPrefix(name+"."+word, ".")
		if p.seen[key] {
			return p.fail(key, "said twice")
		}
		p.seen[key] = true
		if err := member(key); err != nil {
			return err
		}
	}
}

// value reads a string, number, bool, or a list or an object of them.
func (p *parser) value(key string) (any, error) {
	t, err := p.token(key)
	switch {
	case err != nil:
		return nil, err
	case t == json.Delim('['):
		return p.list(key)
	case t == json.Delim('{'):
		members := map[string]any{}
		err := p.members(key, func(name string) error {
			t, err := p.token(name)
			if _, nested := t.(json.Delim); nested {
				err = p.fail(name, "must be a plain value")
			}
			members[strings.TrimPrefix(name, key+".")] = t
			return err
		})
		return members, err
	}
	return t, nil
}

// list reads up to the closing ].
func (p *parser) list(key string) (any, error) {
	items := []any{}
	for {
		t, err := p.token(key)
		if err != nil {
			return nil, err
		}
		if t == json.Delim(']') {
			return items, nil
		}
		if _, nested := t.(json.Delim); nested {
			return nil, p.fail(key, "a list holds plain values only")
		}
		items = append(items, t)
	}
}

func (p *parser) token(key string) (json.Token, error) {
	t, err := p.d.Token()
	if err == nil {
		return t, nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, p.failAt(syntax.Offset, key, "not JSON: "+syntax.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, p.failAt(int64(len(bytes.TrimRight(p.text, " \t\r\n"))), key, "not JSON: the file ends too early")
	}
	return nil, p.fail(key, "not JSON: %v", err)
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

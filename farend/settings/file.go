// The reader of the configuration file: a walk over JSON tokens, since a person who mistypes a key needs
// its line, and encoding/json would keep the last of two equal keys without a word.

package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/farend/forward"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// MaxBytes is the longest configuration file that is read: rules for a thousand streams have less.
const MaxBytes = 1 << 20

// An Error is what is wrong in a file.
type Error struct {
	File string
	Line int    // from 1
	Key  string // such as "receiver.ports"; "" where no key is to blame
	Text string
}

// Error reads "camserver.json:4: receiver.ports: must be …".
func (e *Error) Error() string {
	where := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	if e.Key != "" {
		where += e.Key + ": "
	}
	return where + e.Text
}

// Load reads the file over what s says. One that holds the password of a database must be a secret of its
// owner and group.
func (s *Settings) Load(path string) error {
	b, err := openfile.Read(path, MaxBytes)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := s.Parse(path, b); err != nil {
		return err
	}
	if hasPassword(s.State.Database) {
		return checkSecret(path, "the password of the database")
	}
	for _, r := range s.Forward.Rules {
		if r.AdminKey+r.APISecret+r.Secret+r.Pin+r.Token != "" || r.LiveKit != nil {
			return checkSecret(path, "a secret of a forwarding")
		}
	}
	return nil
}

// hasPassword says whether the URL of a database holds a secret: before the host, or as a parameter, where
// sslpassword is that of a key file. A URL that cannot be read may hold one.
func hasPassword(database string) bool {
	u, err := url.Parse(database)
	if err != nil {
		return true
	}
	_, secret := u.User.Password()
	return secret || u.Query().Has("password") || u.Query().Has("sslpassword")
}

func checkSecret(path, what string) error {
	if err := openfile.CheckSecret(path); err != nil {
		return fmt.Errorf("configuration: it holds %s: %w", what, err)
	}
	return nil
}

// rules takes a list of rules as docs/forwarding.md has them.
func rules(to *[]forward.Rule) Value {
	read := func(raw json.RawMessage) error {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		var all []forward.Rule
		if err := d.Decode(&all); err != nil {
			return fmt.Errorf("must be a list of rules: %w", err)
		}
		for i := range all {
			if err := all[i].Check(); err != nil {
				return fmt.Errorf("rule %d: %w", i+1, err)
			}
		}
		*to = all
		return nil
	}
	return Value{Kind: Objects, Form: "a list of rules", read: read, show: func() string { return "" }}
}

// Parse reads b, whose name in errors is file, over what s says. The error is an *Error.
func (s *Settings) Parse(file string, b []byte) error {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) // of Windows' editors
	p := &parser{file: file, text: b, d: json.NewDecoder(bytes.NewReader(b)), seen: map[string]bool{}}
	groups := map[string]map[string]Value{}
	for _, g := range s.Groups() {
		groups[g.Name] = map[string]Value{}
		for _, one := range g.Settings {
			groups[g.Name][one.Key] = one.Value
		}
	}
	err := p.readObject("", func(group string) error {
		keys, known := groups[group]
		if !known {
			return p.wrong(group, "unknown group (there are %s)", names(groups))
		}
		return p.readObject(group, func(key string) error { return p.readSetting(key, group, keys) })
	})
	if err == nil {
		if _, end := p.d.Token(); !errors.Is(end, io.EOF) {
			err = p.wrong("", "text after the closing }")
		}
	}
	return err
}

type parser struct {
	file string
	text []byte
	d    *json.Decoder
	seen map[string]bool
}

func (p *parser) readSetting(key, group string, keys map[string]Value) error {
	value, known := keys[strings.TrimPrefix(key, group+".")]
	if !known {
		return p.wrong(key, "unknown key (there are %s)", names(keys))
	}
	line := p.line()
	var raw json.RawMessage
	if err := p.d.Decode(&raw); err != nil {
		return p.notJSON(key, err)
	}
	if err := value.take(raw); err != nil {
		return &Error{p.file, line, key, err.Error()}
	}
	return nil
}

// readObject reads { … } and calls member for each key with its dotted name.
func (p *parser) readObject(name string, member func(key string) error) error {
	t, err := p.d.Token()
	switch {
	case err != nil:
		return p.notJSON(name, err)
	case t != json.Delim('{'):
		return p.wrong(name, "must be an object in { }")
	}
	for p.d.More() {
		t, err := p.d.Token()
		if err != nil {
			return p.notJSON(name, err)
		}
		word, _ := t.(string) // the decoder lets nothing else through
		key := strings.TrimPrefix(name+"."+word, ".")
		if p.seen[key] {
			return p.wrong(key, "said twice")
		}
		p.seen[key] = true
		if err := member(key); err != nil {
			return err
		}
	}
	if _, err := p.d.Token(); err != nil {
		return p.notJSON(name, err)
	}
	return nil
}

// line is that of the token that was read last.
func (p *parser) line() int {
	return 1 + bytes.Count(p.text[:min(p.d.InputOffset(), int64(len(p.text)))], []byte("\n"))
}

func (p *parser) wrong(key, format string, a ...any) error {
	return &Error{p.file, p.line(), key, fmt.Sprintf(format, a...)}
}

func (p *parser) notJSON(key string, err error) error {
	if len(bytes.TrimSpace(p.text)) == 0 {
		return &Error{p.file, 1, "", "empty: write at least {}"}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		end := bytes.TrimRight(p.text, " \t\r\n")
		return &Error{p.file, 1 + bytes.Count(end, []byte("\n")), key, "not JSON: the file ends too early"}
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at := min(max(syntax.Offset-1, 0), int64(len(p.text)))
		return &Error{p.file, 1 + bytes.Count(p.text[:at], []byte("\n")), key, "not JSON: " + err.Error()}
	}
	return p.wrong(key, "not JSON: %v", err)
}

// names lists the keys of m in alphabetical order.
func names[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

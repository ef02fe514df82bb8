// A second reader of krazycam.json, for a board. Where a person sits at a desk, one wrong key is an
// error and nothing is written (With, ParseSeed). On a board nobody may be there: what is right in
// the file counts, and what is not is reported. The same reader keeps keys of other versions, which
// an update or the way back from one must not lose.

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Item is one key of a file, with its value as it stands there.
type Item struct {
	Section string
	Key     string          // within its section; "" for the whole section, if it is wrong and has no keys
	Value   json.RawMessage // not checked if there is a Problem
	Problem *Error          // why this version does not go by it; nil: it does
	Unknown bool            // the problem is that this version does not know the key
}

// Name is the key as owners write it: "stream.fps".
func (i Item) Name() string { return strings.TrimSuffix(i.Section+"."+i.Key, ".") }

// ReadItems reads all keys of b, whose name in errors is file, in the order of the file. The error
// is an *Error, if b is no JSON object: then nothing of it can be used.
func ReadItems(file string, b []byte) ([]Item, error) {
	p := newParser(file, b)
	if err := p.checkText(); err != nil {
		return nil, err
	}
	defaults := Default()
	for _, section := range defaults.Sections() {
		p.sections[section.Name] = section.valuesByKey()
	}
	var items []Item
	err := p.readRaw("", func(section string, raw json.RawMessage) error {
		wrong := ""
		switch {
		case p.seen[section]:
			wrong = "said twice"
		case p.sections[section] == nil:
			wrong = "unknown section (there are " + names(p.sections) + ")"
		case !bytes.HasPrefix(raw, []byte("{")):
			wrong = "must be an object in { }"
		}
		p.seen[section] = true
		before := len(items)
		if bytes.HasPrefix(raw, []byte("{")) {
			if err := p.readSectionItems(section, wrong, raw, &items); err != nil {
				return err
			}
		}
		if wrong != "" && len(items) == before { // it has no keys that could say it
			problem := &Error{File: p.file, Line: p.line(p.d.InputOffset()), Key: section, Text: wrong}
			items = append(items, Item{section, "", raw, problem, p.sections[section] == nil})
		}
		return nil
	})
	if err == nil {
		err = p.readEnd()
	}
	if err != nil {
		return nil, err
	}
	return items, nil
}

// readRaw reads { … } and calls member with each key and its value as it stands in the text.
func (p *parser) readRaw(name string, member func(key string, raw json.RawMessage) error) error {
	t, err := p.readToken(name)
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return p.errorHere(name, "must be an object in { }")
	}
	for p.d.More() {
		t, err := p.readToken(name)
		if err != nil {
			return err
		}
		key, _ := t.(string) // the decoder lets nothing else through
		var raw json.RawMessage
		if err := p.d.Decode(&raw); err != nil {
			return p.explain(strings.TrimPrefix(name+"."+key, "."), err)
		}
		if err := member(key, raw); err != nil {
			return err
		}
	}
	_, err = p.readToken(name) // the closing }
	return err
}

// readSectionItems reads the keys of one section out of raw, which ends where p is now. wrong is what
// is wrong with all of them, "" if nothing is.
func (p *parser) readSectionItems(section, wrong string, raw json.RawMessage, items *[]Item) error {
	inner := &parser{file: p.file, text: p.text, d: json.NewDecoder(bytes.NewReader(raw))}
	start := p.d.InputOffset() - int64(len(raw))
	keys := p.sections[section]
	return inner.readRaw(section, func(key string, value json.RawMessage) error {
		i := Item{Section: section, Key: key, Value: value}
		_, known := keys[key]
		i.Unknown = !known
		text := wrong
		switch name := i.Name(); {
		case wrong != "":
		case p.seen[name]:
			text = "said twice"
		case !known:
			text = "unknown key (there are " + names(keys) + ")"
		default:
			text = checkValue(section, key, value)
		}
		p.seen[i.Name()] = true
		if text != "" {
			i.Problem = &Error{File: p.file, Line: p.line(start + inner.d.InputOffset()), Key: i.Name(), Text: text}
		}
		*items = append(*items, i)
		return nil
	})
}

// checkValue says what is wrong with the value of a key that is known, "" if nothing is.
func checkValue(section, key string, value json.RawMessage) string {
	_, err := Parse("", WriteItems([]Item{{Section: section, Key: key, Value: value}}))
	var wrong *Error
	if errors.As(err, &wrong) {
		return wrong.Text
	}
	return ""
}

func (p *parser) line(offset int64) int {
	return 1 + bytes.Count(p.text[:min(max(offset, 0), int64(len(p.text)))], []byte("\n"))
}

// WriteItems makes a file of items, one key a line, each section once. No two items may have the
// same name.
func WriteItems(items []Item) []byte {
	var order []string
	lines, whole := map[string][]string{}, map[string]string{}
	for _, i := range items {
		if !slices.Contains(order, i.Section) {
			order = append(order, i.Section)
		}
		if i.Key == "" {
			whole[i.Section] = string(i.Value)
		} else {
			lines[i.Section] = append(lines[i.Section], fmt.Sprintf("    %s: %s", quote(i.Key), i.Value))
		}
	}
	var sections []string
	for _, s := range order {
		value := whole[s]
		if value == "" || len(lines[s]) > 0 {
			value = "{\n" + strings.Join(lines[s], ",\n") + "\n  }"
		}
		sections = append(sections, "  "+quote(s)+": "+value)
	}
	if len(sections) == 0 {
		return []byte("{}\n")
	}
	return []byte("{\n" + strings.Join(sections, ",\n") + "\n}\n")
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string that came out of JSON goes into it again
		return `""`
	}
	return string(b)
}

// Overlay gives base with the values of over in the place of those of the same name.
func Overlay(base, over []Item) []Item {
	all := slices.Clone(base)
	for _, o := range over {
		same := func(i Item) bool { return i.Name() == o.Name() }
		if at := slices.IndexFunc(all, same); at >= 0 {
			all[at] = o
		} else {
			all = append(all, o)
		}
	}
	return all
}

// Guards says that nothing may be sent without the key: it limits what is sent or to whom, and
// somebody wrote it in a form that this version does not take. A key that this version does not
// know counts, too, if it can be one of these with a typing mistake.
func (i Item) Guards() bool {
	c := Default()
	for _, section := range c.Sections() {
		for _, s := range section.Settings {
			if s.Guard && (i.Unknown && isTypo(lastPart(i), s.Key) || section.Name == i.Section && s.Key == i.Key) {
				return true
			}
		}
	}
	return false
}

func lastPart(i Item) string {
	if i.Key == "" {
		return i.Section
	}
	return i.Key
}

// isTypo says that made is meant with one or two mistakes: one for four letters.
func isTypo(made, meant string) bool {
	return editDistance(strings.ToLower(made), meant) <= min(len(meant)/4, 2)
}

// editDistance is how many letters must be changed, added or taken out to make b of a.
// A pair that stands the wrong way round counts as two.
func editDistance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3 // more than anybody asks for
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// What a board makes of its configuration, and what process 1 gives of it to each service.

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// A Verdict is what a board can use of a file.
type Verdict struct {
	Usable   bool     // false: nothing of it
	Items    []Item   // those that count; of a file that is not usable, none
	Problems []*Error // what does not count, and why
}

// Judge says what a board can use of the file b, whose name in errors is file, over the image's
// defaults. Keys and values that this version does not take are left out. But nothing of a file
// counts if it is no JSON object, if its settings do not go together, or if what is wrong limits
// what may be sent or to whom (Setting.Guard): less than the owner meant is streamed then, never
// more.
func Judge(defaults []Item, file string, b []byte) Verdict {
	items, err := ReadItems(file, b)
	if err != nil {
		return Verdict{Problems: asProblems(err)}
	}
	v := Verdict{Usable: true}
	for _, i := range items {
		if i.Problem == nil {
			v.Items = append(v.Items, i)
			continue
		}
		v.Problems = append(v.Problems, i.Problem)
		v.Usable = v.Usable && !i.Guards()
	}
	if err := checkItems(file, Overlay(defaults, v.Items)); err != nil {
		v.Usable = false
		v.Problems = append(v.Problems, asProblems(err)...)
	}
	if !v.Usable {
		v.Items = nil
	}
	return v
}

// checkItems finds items that do not go together.
func checkItems(file string, items []Item) error {
	c, err := Default().withinLimit(file, WriteItems(items), maxPart)
	if err != nil {
		return err
	}
	return c.CheckTogether(file)
}

func asProblems(err error) []*Error {
	var one *Error
	if errors.As(err, &one) {
		return []*Error{one}
	}
	return []*Error{{Text: err.Error()}}
}

// ImageItems reads the defaults that an image carries; nil if there are none or they are broken.
func ImageItems(path string) []Item {
	b, err := openfile.Read(path, MaxBytes)
	if err != nil {
		return nil
	}
	return Judge(nil, path, b).Items
}

// A Part is what process 1 writes for one service: its sections, and what it must say about the
// owner's file. LoadBoard reads it.
type Part struct {
	Items    []Item   // of the service's sections
	Unused   bool     // the owner's file is not used: these are other settings
	Problems []*Error // of the owner's file, as far as they are the service's matter
}

// A remark is what a Part's file says beside the sections, in the member remarkMember. No section has
// such a name.
type remark struct {
	Problem *Error `json:"problem,omitempty"` // the first one: LoadBoard says no other
	More    int    `json:"more,omitempty"`    // how many there are beside it
	Unused  bool   `json:"unused"`
}

const remarkMember = "(file)"

const (
	// maxPart is the longest file of a Part: its settings are on lines of their own.
	maxPart = 4 * MaxBytes
	// maxWords bounds what a problem repeats of the owner's words, in bytes: a key may be as long as a file.
	maxWords = 400
)

// Bytes gives the file.
func (p Part) Bytes() ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(WriteItems(p.Items), &all); err != nil {
		return nil, fmt.Errorf("configuration of a service: %w", err)
	}
	about := remark{Unused: p.Unused}
	if len(p.Problems) > 0 {
		first := *p.Problems[0]
		first.Key, first.Text = cutWords(first.Key), cutWords(first.Text)
		about.Problem, about.More = &first, len(p.Problems)-1
	}
	var err error
	if all[remarkMember], err = json.Marshal(about); err != nil {
		return nil, fmt.Errorf("configuration of a service: %w", err)
	}
	b, err := json.MarshalIndent(all, "", "  ")
	return append(b, '\n'), err
}

func cutWords(s string) string {
	if len(s) <= maxWords {
		return s
	}
	return strings.ToValidUTF8(s[:maxWords], "") + "…"
}

// ErrOnlyPartly is the error of LoadBoard when the owner's file is used but for some settings.
var ErrOnlyPartly = errors.New("settings not used")

// LoadBoard reads the file at path, a Part or in the owner's form, over the image's defaults, which
// are in the file at defaults (ImageDefaults on a board). If that is missing or broken, this
// program's defaults take its place. An error comes with a Config that can be used: with
// ErrOnlyPartly the owner's without some settings, else what there is instead. It names the owner's
// file and line.
func LoadBoard(defaults, path string) (Config, error) {
	base, err := Load(defaults)
	if err != nil { // camctl image has checked it: it is missing
		base = Default()
	}
	b, err := openfile.Read(path, maxPart)
	if err != nil {
		return base, fmt.Errorf("configuration: %w", err)
	}
	settings, complaint := cutPart(b)
	c, err := base.withinLimit(path, settings, maxPart)
	if err != nil {
		return c, err
	}
	return c, complaint
}

// cutPart takes out of a Part what is no section, and says it as an error. What is no Part is
// returned as it is.
func cutPart(b []byte) (settings []byte, complaint error) {
	if !bytes.Contains(b, []byte(remarkMember)) {
		return b, nil
	}
	var all map[string]json.RawMessage
	var about remark
	err := json.Unmarshal(b, &all)
	if err == nil {
		err = json.Unmarshal(all[remarkMember], &about)
	}
	if err != nil {
		return b, nil // With says what is wrong
	}
	delete(all, remarkMember)
	settings, err = json.Marshal(all)
	if err != nil {
		return b, nil
	}
	return settings, about.complain()
}

// complain makes one error, in one line.
func (r remark) complain() error {
	if r.Problem == nil {
		return nil
	}
	text := fmt.Errorf("%w", r.Problem)
	if r.More > 0 {
		text = fmt.Errorf("%w (and %d more)", text, r.More)
	}
	if r.Unused {
		return text
	}
	return fmt.Errorf("%w: %w", ErrOnlyPartly, text)
}

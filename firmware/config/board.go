// What a board makes of its configuration, and what process 1 gives of it to each service.

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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

// The members of a Part's file beside the sections. No section has such a name.
const (
	problemsMember = "(problems)"
	unusedMember   = "(unused)"
)

// maxPart is the longest file of a Part: its settings are on lines of their own, and the problems
// repeat some of the owner's words.
const maxPart = 4 * MaxBytes

// Bytes gives the file.
func (p Part) Bytes() ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(WriteItems(p.Items), &all); err != nil {
		return nil, fmt.Errorf("configuration of a service: %w", err)
	}
	for name, value := range map[string]any{problemsMember: p.Problems, unusedMember: p.Unused} {
		b, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("configuration of a service: %w", err)
		}
		all[name] = b
	}
	b, err := json.MarshalIndent(all, "", "  ")
	return append(b, '\n'), err
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
	if !bytes.Contains(b, []byte(unusedMember)) {
		return b, nil
	}
	var all map[string]json.RawMessage
	var problems []*Error
	var unused bool
	err := json.Unmarshal(b, &all)
	if err == nil {
		err = errors.Join(json.Unmarshal(all[problemsMember], &problems), json.Unmarshal(all[unusedMember], &unused))
	}
	if err != nil {
		return b, nil // With says what is wrong
	}
	delete(all, problemsMember)
	delete(all, unusedMember)
	settings, err = json.Marshal(all)
	if err != nil {
		return b, nil
	}
	return settings, complain(problems, unused)
}

// complain makes one error, in one line, of what a Part has to say.
func complain(problems []*Error, unused bool) error {
	problems = slices.DeleteFunc(problems, func(e *Error) bool { return e == nil })
	if len(problems) == 0 {
		return nil
	}
	text := fmt.Errorf("%w", problems[0])
	if n := len(problems) - 1; n > 0 {
		text = fmt.Errorf("%w (and %d more)", text, n)
	}
	if unused {
		return text
	}
	return fmt.Errorf("%w: %w", ErrOnlyPartly, text)
}

// The utilization_id, which goes back as it came.

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
)

// maxID is the longest utilization_id taken; a UUID has 36 characters.
const maxID = 512

// ID is a utilization_id: a JSON string or number that goes back exactly as it
// came. The zero ID means that there is none. IDs compare with ==.
type ID struct{ literal string }

// TextID makes the ID that is the JSON string s.
func TextID(s string) ID {
	b, err := json.Marshal(s)
	if err != nil || s == "" {
		return ID{}
	}
	return ID{string(b)}
}

// IsZero tells encoding/json (omitzero) and callers that there is no ID.
func (id ID) IsZero() bool { return id.literal == "" }

// String gives a string's text or a number's digits, for people and logs.
func (id ID) String() string {
	var s string
	if json.Unmarshal([]byte(id.literal), &s) == nil {
		return s
	}
	return id.literal
}

// MarshalJSON gives the literal back as it came.
func (id ID) MarshalJSON() ([]byte, error) {
	if id.IsZero() {
		return []byte("null"), nil
	}
	return []byte(id.literal), nil
}

var errID = errors.New("utilization_id is neither text nor a number")

// UnmarshalJSON takes a string that is not empty, a number, or null for none.
func (id *ID) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if string(b) == "null" || string(b) == `""` {
		*id = ID{}
		return nil
	}
	var value any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // a float64 would turn 12345678901234567890 into another ID
	if len(b) > maxID || d.Decode(&value) != nil {
		return errID
	}
	switch value.(type) {
	case string, json.Number:
		*id = ID{string(b)}
		return nil
	}
	return errID
}

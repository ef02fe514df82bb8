// Property lists as diskutil prints them: XML of dictionaries, arrays and values.
// Source: plist(5) of macOS.

package drive

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// maxOutput is more than any machine's list of drives.
	maxOutput = 4 << 20
	maxDepth  = 16
)

var errOutput = errors.New("not what is understood here")

// parsePlist gives a list's value: map[string]any, []any, string, int64 or bool. Other values are left out.
func parsePlist(b []byte) (any, error) {
	if len(b) > maxOutput {
		return nil, fmt.Errorf("property list: %w: %d bytes", errOutput, len(b))
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("property list: %w: %w", errOutput, err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local != "plist" {
			return plistValue(d, start, 0)
		}
	}
}

func plistValue(d *xml.Decoder, start xml.StartElement, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("property list: %w: too deep", errOutput)
	}
	switch kind := start.Name.Local; kind {
	case "dict", "array":
		return plistMembers(d, kind == "dict", depth)
	case "true", "false":
		return kind == "true", d.Skip()
	default:
		text, err := plistText(d)
		if err != nil || kind == "string" {
			return text, err
		}
		if kind == "integer" {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("property list: %w: integer %q", errOutput, text)
			}
			return n, nil
		}
		return nil, nil // a date, a real number, data
	}
}

// plistMembers reads up to the end of a dictionary or an array.
func plistMembers(d *xml.Decoder, dict bool, depth int) (any, error) {
	members, list, key := map[string]any{}, []any{}, ""
	for {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("property list: %w: %w", errOutput, err)
		}
		switch t := token.(type) {
		case xml.EndElement:
			if dict {
				return members, nil
			}
			return list, nil
		case xml.StartElement:
			if dict && t.Name.Local == "key" {
				if key, err = plistText(d); err != nil {
					return nil, err
				}
				continue
			}
			value, err := plistValue(d, t, depth+1)
			if err != nil {
				return nil, err
			}
			if dict {
				members[key] = value
			} else {
				list = append(list, value)
			}
		}
	}
}

// plistText reads up to the end of an element that holds text alone.
func plistText(d *xml.Decoder) (string, error) {
	var text strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", fmt.Errorf("property list: %w: %w", errOutput, err)
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			return text.String(), nil
		case xml.StartElement:
			return "", fmt.Errorf("property list: %w: %s within a text", errOutput, t.Name.Local)
		}
	}
}

// member is a value of a dictionary, or its zero value if it is missing or of another kind.
func member[T any](value any, key string) (v T) {
	m, _ := value.(map[string]any)
	v, _ = m[key].(T)
	return v
}

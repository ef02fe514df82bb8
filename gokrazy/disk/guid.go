// GUIDs in the mixed byte order of UEFI, and UTF-16 names, which GPT and FAT
// share. Spec: UEFI 2.10 appendix A.

package disk

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
)

// A GUID is in the order it has on disk: the first three groups little-endian.
type GUID [16]byte

// guidOrder says which byte of the text each byte on disk is.
const guidOrder = "\x03\x02\x01\x00\x05\x04\x07\x06\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"

// ParseGUID reads "60c24cc1-f3f9-427a-8199-5b1ce0010001".
func ParseGUID(s string) (GUID, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 || len(s) != 36 {
		return GUID{}, fmt.Errorf("GUID %q: want 32 hex digits in groups of 8, 4, 4, 4 and 12", s)
	}
	var g GUID
	for i := range g {
		g[i] = b[guidOrder[i]]
	}
	return g, nil
}

// String is the form that ParseGUID reads, in small letters.
func (g GUID) String() string {
	var b [16]byte
	for i := range g {
		b[guidOrder[i]] = g[i]
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func utf16Units(s string) []uint16 { return utf16.Encode([]rune(s)) }

// utf16Text reads little-endian units up to the first zero.
func utf16Text(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		unit := binary.LittleEndian.Uint16(b)
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return string(utf16.Decode(units))
}

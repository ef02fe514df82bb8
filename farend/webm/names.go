// Names of folders and files, made safe for every file system.

package webm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	nameLayout = "20060102-150405.000"
	nameEnd    = ".webm"

	// folderMax is what all file systems take, with room to spare.
	folderMax = 120
)

// nameOf is the file's name of a recording that began at start, ms since 1970.
func nameOf(start int64) string { return time.UnixMilli(start).UTC().Format(nameLayout) + nameEnd }

// parseName takes only what nameOf makes.
func parseName(name string) (start int64, ok bool) {
	text, ok := strings.CutSuffix(name, nameEnd)
	if !ok || len(text) != len(nameLayout) {
		return 0, false
	}
	t, err := time.Parse(nameLayout, text)
	if err != nil {
		return 0, false
	}
	return t.UnixMilli(), nameOf(t.UnixMilli()) == name
}

// folderOf is the folder of a source. Text keeps capitals, digits and hyphens, which is all that ids of
// our own gateway have, and has _ and two digits for any other byte. If there are lower case letters,
// these are kept instead and a = stands in front, since some file systems do not tell them from capitals. A
// number has a + before it: text "5" and number 5 are two sources. What is too long is a hash.
func folderOf(id wire.ID) string {
	literal, _ := json.Marshal(id)
	text, prefix, a, z := id.String(), "", byte('A'), byte('Z')
	switch {
	case len(literal) > 0 && literal[0] != '"':
		prefix = "+"
	case strings.ContainsFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' }):
		prefix, a, z = "=", 'a', 'z'
	}
	var b strings.Builder
	b.WriteString(prefix)
	for i := range len(text) {
		if c := text[i]; c >= a && c <= z || c >= '0' && c <= '9' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	switch folder := b.String(); {
	case len(folder) > folderMax:
		sum := sha256.Sum256(literal)
		return "++" + hex.EncodeToString(sum[:])
	case isDevice(folder):
		return fmt.Sprintf("_%02x%s", folder[0], folder[1:])
	default:
		return folder
	}
}

// isDevice says whether Windows takes a name for a device's.
func isDevice(name string) bool {
	if len(name) == 4 && name[3] >= '0' && name[3] <= '9' {
		return slices.Contains([]string{"COM", "LPT"}, name[:3])
	}
	return slices.Contains([]string{"CON", "PRN", "AUX", "NUL"}, name)
}

// The kernel's command line is the one file that differs between the slots: it names the root.
// Hashes in manifests are those of its canonical form, which is slot a's.

package slot

import (
	"bytes"
	"errors"
	"fmt"
)

// MaxCmdline is above the longest command line, in bytes; the kernel takes 2048.
const MaxCmdline = 4096

// ErrCmdline means that a command line does not name the root as one of ours does.
var ErrCmdline = errors.New("command line of the kernel")

var (
	rootArgument = []byte("root=PARTUUID=")
	rootOffset   = []byte("/PARTNROFF=")
)

// Cmdline gives the command line for a slot, of the same length. What it is made from may be that of
// either slot.
func Cmdline(line []byte, n Name) ([]byte, error) {
	if !n.Valid() {
		return nil, fmt.Errorf("%w: for slot %q", ErrCmdline, n)
	}
	at, _, err := cmdlineRoot(line)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(line)
	out[at] = byte('0' + n.PartitionOffset())
	return out, nil
}

// CanonicalCmdline gives the form that manifests speak of: slot a's.
func CanonicalCmdline(line []byte) ([]byte, error) { return Cmdline(line, A) }

// CmdlineSlot says whose root a command line names.
func CmdlineSlot(line []byte) (Name, error) {
	_, n, err := cmdlineRoot(line)
	return n, err
}

// cmdlineRoot finds the digit of the one root argument. Two of them, or an offset elsewhere, could
// be read in two ways.
func cmdlineRoot(line []byte) (at int, n Name, err error) {
	if len(line) > MaxCmdline {
		return 0, None, fmt.Errorf("%w: %d bytes, at most %d", ErrCmdline, len(line), MaxCmdline)
	}
	if bytes.Count(line, rootArgument) != 1 || bytes.Count(line, rootOffset) != 1 {
		return 0, None, fmt.Errorf("%w: wants one %s…%s, has %d and %d", ErrCmdline, rootArgument, rootOffset,
			bytes.Count(line, rootArgument), bytes.Count(line, rootOffset))
	}
	from := bytes.Index(line, rootArgument)
	at = bytes.Index(line, rootOffset) + len(rootOffset)
	end := at + 1
	switch {
	case from > 0 && line[from-1] != ' ', at < from, bytes.ContainsAny(line[from:at], " \t\r\n"):
		return 0, None, fmt.Errorf("%w: %s is no part of the root argument", ErrCmdline, rootOffset)
	case at >= len(line), end < len(line) && !bytes.ContainsRune([]byte(" \r\n"), rune(line[end])):
		return 0, None, fmt.Errorf("%w: no number of one digit behind %s", ErrCmdline, rootOffset)
	}
	if n, err = OfPartition(1 + int(line[at]) - '0'); err != nil {
		return 0, None, fmt.Errorf("%w: %s%c: %w", ErrCmdline, rootOffset, line[at], err)
	}
	return at, n, nil
}

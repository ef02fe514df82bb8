// The two files: lines with a checksum, appended and synced.

package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	maxKind = 32  // bytes
	maxText = 400 // bytes; what JSON makes of a character here is at most 6 bytes for 1
	// maxLine is a checksum, a blank, the texts with every byte escaped, the other members and a
	// newline: 8 + 1 + 6*(32+400) + 120 + 1, rounded up.
	maxLine = 2800
	maxSeq  = 1 << 62 // no board gets there: only a forged line
	// maxFile has room for as many lines again as are written, for torn ones.
	maxFile = 2 * Kept * maxLine
)

func fileName(i int) string { return [2]string{"events.0", "events.1"}[i] }

// write appends e to the current file, or begins the other one.
//
// The file that is emptied has nothing of the last Kept events but those that are older than all of
// the full one, and it is emptied before the first line of the new round: a cut between leaves the
// Kept events of the full file.
func (l *Log) write(e Event) error {
	line, err := encode(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	if l.inFile >= Kept || !hasRoom(l.path()) {
		l.current, l.inFile, l.clean = 1-l.current, 0, false
		if err := os.RemoveAll(l.path()); err != nil {
			return err
		}
	}
	if !l.clean { // the last run may have ended within a line
		line = append([]byte("\n"), line...)
	}
	l.clean = false
	if err := appendDurably(l.path(), line); err != nil {
		return err
	}
	l.clean = true
	l.inFile++
	return nil
}

func (l *Log) path() string { return filepath.Join(l.dir, fileName(l.current)) }

// hasRoom says that a line can be appended: the file is a plain one and short enough, or missing.
func hasRoom(path string) bool {
	info, err := os.Lstat(path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return info.Mode().IsRegular() && info.Size() <= maxFile-maxLine
}

// appendDurably writes with one call and syncs; the folder, too, if the file is new.
func appendDurably(path string, b []byte) error {
	_, err := os.Lstat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	f, err := openfile.Append(path, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil && isNew {
		err = atomicfile.SyncFolder(filepath.Dir(path))
	}
	return err
}

// encode gives an event's line: "CRC32 JSON\n".
func encode(e Event) ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(b), b), nil
}

// readFile gives the events of a file. Lines that are torn, damaged, too long or unknown are passed
// over. A file that is missing has none.
func readFile(path string) ([]Event, error) {
	b, err := openfile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return decode(b), err
}

func decode(b []byte) []Event {
	var list []Event
	for line := range bytes.Lines(b) {
		if e, ok := decodeLine(line); ok {
			list = append(list, e)
		}
	}
	return lastOf(list)
}

func decodeLine(line []byte) (e Event, ok bool) {
	sum, text, found := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !found || len(line) > maxLine || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) {
		return Event{}, false
	}
	if json.Unmarshal(text, &e) != nil || e.Seq == 0 || e.Seq > maxSeq {
		return Event{}, false
	}
	return e, len(e.Kind) <= maxKind && len(e.Text) <= maxText
}

// clean cuts s to limit bytes of whole characters, on one line.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= limit {
		return s
	}
	const more = "…"
	s = s[:limit-len(more)]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + more
}

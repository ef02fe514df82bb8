// Which rows of a table are on cards: a file of one JSON object a line, so that a run may be killed and
// continued. It holds no settings, but sums of them, of which somebody could guess a short key: it is its
// owner's alone.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
)

const (
	doneEnding = ".done"
	maxDone    = 8 << 20
)

// A doneRow is a line of the file.
type doneRow struct {
	Name        string    `json:"name"`
	Settings    string    `json:"settings"` // SHA-256 of the row's seed
	Seed        string    `json:"seed"`     // SHA-256 of what is on the card
	Image       string    `json:"image"`    // SHA-256
	Fingerprint string    `json:"fingerprint,omitempty"`
	At          time.Time `json:"at"`
}

// doneRows are those of earlier calls and of this one.
type doneRows struct {
	file    string
	rows    []doneRow
	earlier int // of them, by earlier calls
}

// openDone reads the file beside a table.
func openDone(table string) (*doneRows, error) {
	d := &doneRows{file: table + doneEnding}
	b, err := openfile.Read(d.file, maxDone)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	d.rows, err = parseDone(d.file, b)
	d.earlier = len(d.rows)
	return d, err
}

func parseDone(file string, b []byte) (rows []doneRow, err error) {
	line := 0
	for text := range bytes.Lines(b) {
		line++
		var row doneRow
		if err := json.Unmarshal(text, &row); err != nil {
			return nil, fmt.Errorf("%s:%d: is no list of cards that were written: %w", file, line, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// last is how a row was written last, if it was with these very settings.
func (d *doneRows) last(row boardRow) (last doneRow, ok bool) {
	for _, r := range slices.Backward(d.rows) {
		if r.Name == row.Name {
			return r, r.Settings == row.sum
		}
	}
	return doneRow{}, false
}

// any says whether there is a card that must not be written again.
func (d *doneRows) any(again bool) bool { return len(d.rows) > d.first(again) }

// first of the rows whose cards must not be written again: with again, those of earlier calls may be.
func (d *doneRows) first(again bool) int {
	if again {
		return d.earlier
	}
	return 0
}

// onCard finds the row whose card this is, by its seed.
func (d *doneRows) onCard(seed []byte, again bool) (name string, ok bool) {
	sum := seedSum(seed)
	for _, r := range d.rows[d.first(again):] {
		if r.Seed == sum {
			return r.Name, true
		}
	}
	return "", false
}

// add keeps a row, before the next card is asked for. The file is replaced in one step: a kill
// leaves the old one or the new one.
func (d *doneRows) add(row doneRow) error {
	d.rows = append(d.rows, row)
	var all []byte
	for _, r := range d.rows {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		all = append(append(all, text...), '\n')
	}
	return atomicfile.Replace(d.file, 0o600, atomicfile.Bytes(all))
}

// seedSum is that of a seed without the blanks that fill its place on a card.
func seedSum(seed []byte) string {
	sum := sha256.Sum256(bytes.TrimRight(seed, " \t\r\n\x00"))
	return hex.EncodeToString(sum[:])
}

// seedOn reads the seed of the card at path; nil if it has none, or is no card of ours.
func seedOn(path string) ([]byte, error) {
	source, size, err := drive.OpenToRead(path)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	noted := &notingReader{source: source}
	boot, _, err := card.OpenBoot(noted, size)
	if err != nil {
		return nil, noted.err
	}
	seed, err := card.ReadSeed(boot)
	if err != nil {
		return nil, noted.err
	}
	return seed, nil
}

// A notingReader keeps the first error of a card that cannot be read: a strange one is damaged, too.
type notingReader struct {
	source io.ReaderAt
	err    error
}

func (n *notingReader) ReadAt(b []byte, at int64) (int, error) {
	read, err := n.source.ReadAt(b, at)
	if err != nil && n.err == nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		n.err = err
	}
	return read, err
}

// Which rows of a table are on cards: a file of one JSON object a line, so that a run may be killed and
// continued. It holds no settings, but sums of them, of which somebody could guess a short key: it is its
// owner's alone.

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/config"
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

// openDone reads the file beside a table. A last line that was cut short does not count.
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
			if bytes.HasSuffix(text, []byte("\n")) {
				return nil, fmt.Errorf("%s:%d: is no list of cards that were written: %w", file, line, err)
			}
			break
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// has says whether a row is on a card with these very settings.
func (d *doneRows) has(row boardRow) bool {
	for _, r := range d.rows {
		if r.Name == row.Name && r.Settings == row.sum {
			return true
		}
	}
	return false
}

// onCard finds the row whose card this is, by its seed. Those of earlier calls may be written again.
func (d *doneRows) onCard(seed []byte, again bool) (name string, ok bool) {
	sum, from := seedSum(seed), 0
	if again {
		from = d.earlier
	}
	for _, r := range d.rows[from:] {
		if r.Seed == sum {
			return r.Name, true
		}
	}
	return "", false
}

// add keeps a row, before the next card is asked for. The file is replaced in one step: what a kill has
// cut short does not stay in it.
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

// seedOn reads the seed of the card at path; nil if there is none. Only Linux has the card as a file;
// elsewhere the seed is where the system shows its boot partition.
func seedOn(ctx context.Context, path string) []byte {
	f, size, err := openfile.Disk(path, os.O_RDONLY)
	if err != nil || size == 0 {
		return shownSeed(ctx, path)
	}
	defer f.Close()
	boot, _, err := card.OpenBoot(f, size)
	if err != nil {
		return nil
	}
	seed, err := card.ReadSeed(boot)
	if err != nil {
		return nil
	}
	return seed
}

// shownSeed reads it where the card is mounted.
func shownSeed(ctx context.Context, path string) []byte {
	drives, err := drive.List(ctx)
	if err != nil {
		return nil
	}
	for _, d := range drives {
		if d.Path != path {
			continue
		}
		for _, at := range d.Mounts {
			seed, err := openfile.Read(at+string(os.PathSeparator)+card.SeedName, config.MaxBytes)
			if err == nil {
				return seed
			}
		}
	}
	return nil
}

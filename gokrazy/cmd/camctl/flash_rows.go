// The table of camctl flash --seeds: a row is a board, a column a setting, the first line says which.
// Source: RFC 4180.

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	// maxTable is that of 10,000 boards with a few hundred bytes of settings each.
	maxTable = 4 << 20
	maxRows  = 10_000
	// nameColumn has what a person calls the board; it is no setting.
	nameColumn = "name"
)

var errTable = errors.New("wrong table")

// A boardRow is one board of the table.
type boardRow struct {
	Name string
	seed []byte
	sum  string // SHA-256 of the seed, before password and TLS key
}

// readRows reads a table and checks each row as a seed of an image with these defaults. common is a seed
// that all rows have, nil for none; a row's cell replaces what it says.
func readRows(file string, common, defaults []byte) ([]boardRow, error) {
	b, err := openfile.Read(file, maxTable)
	if err != nil {
		return nil, fmt.Errorf("--seeds: %w", err)
	}
	return parseRows(file, b, common, defaults)
}

func parseRows(file string, b, common, defaults []byte) ([]boardRow, error) {
	base, err := config.ReadItems(config.SeedName, seedOrEmpty(common))
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return nil, fmt.Errorf("%s:1: %w: this is UTF-16 text: save it as \"CSV UTF-8\"", file, errTable)
	}
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	r.Comma = separator(b)
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: its first line must name the columns: %w", file, errTable, err)
	}
	columns, err := columnsOf(file, head)
	if err != nil {
		return nil, err
	}
	var rows []boardRow
	lines := map[string]int{} // of the names
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", file, errTable, err)
		}
		line, _ := r.FieldPos(0)
		row, err := rowOf(fmt.Sprintf("%s:%d", file, line), columns, cells, base, defaults)
		if err != nil {
			return nil, err
		}
		if row.Name == "" {
			row.Name = fmt.Sprintf("row %d", len(rows)+1)
		}
		if first, ok := lines[row.Name]; ok {
			return nil, fmt.Errorf("%s:%d: %w: the name %q is in line %d, too", file, line, errTable, row.Name, first)
		}
		if lines[row.Name] = line; len(rows) == maxRows {
			return nil, fmt.Errorf("%s: %w: more than %d rows", file, errTable, maxRows)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: %w: it has no row below its first line", file, errTable)
	}
	return rows, nil
}

// separator is a comma, or the semicolon of spreadsheets in countries whose numbers have commas.
func separator(b []byte) rune {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if bytes.Count(line, []byte(";")) > bytes.Count(line, []byte(",")) {
		return ';'
	}
	return ','
}

// A tableColumn is the name of a board, or a setting.
type tableColumn struct {
	section, key string // "" for the name
	kind         config.Kind
}

// columnsOf finds the settings of the first line.
func columnsOf(file string, head []string) ([]tableColumn, error) {
	known := map[string]tableColumn{nameColumn: {}}
	settings := config.Default()
	for _, section := range settings.Sections() {
		for _, s := range section.Settings {
			known[section.Name+"."+s.Key] = tableColumn{section.Name, s.Key, s.Value.Kind}
		}
	}
	columns := make([]tableColumn, len(head))
	seen := map[string]bool{}
	for i, name := range head {
		name = strings.TrimSpace(name)
		c, ok := known[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("%s:1: %w: column %q is no setting: it is called section.key, such as gateway.key",
				file, errTable, name)
		case seen[name]:
			return nil, fmt.Errorf("%s:1: %w: column %q is there twice", file, errTable, name)
		case c.kind == config.Object:
			return nil, fmt.Errorf("%s:1: %w: %s has more than one value: give it to all cards with --seed",
				file, errTable, name)
		}
		seen[name], columns[i] = true, c
	}
	return columns, nil
}

// rowOf makes a seed of a row. where is its file and line.
func rowOf(where string, columns []tableColumn, cells []string, base []config.Item, defaults []byte) (boardRow, error) {
	var row boardRow
	var items []config.Item
	for i, text := range cells {
		c, text := columns[i], strings.TrimSpace(text)
		switch {
		case c.key == "":
			row.Name = text
		case text != "": // an empty cell says nothing
			value, err := cellValue(c.kind, text)
			if err != nil {
				return row, fmt.Errorf("%s: %s.%s: %w", where, c.section, c.key, err)
			}
			items = append(items, config.Item{Section: c.section, Key: c.key, Value: value})
		}
	}
	row.seed = config.WriteItems(config.Overlay(base, items))
	if _, err := config.ParseSeed(defaults, where, row.seed); err != nil {
		if wrong := new(config.Error); errors.As(err, &wrong) { // the line is that of the table
			return row, fmt.Errorf("%s: %s: %s", where, wrong.Key, wrong.Text)
		}
		return row, err
	}
	sum := sha256.Sum256(row.seed)
	row.sum = hex.EncodeToString(sum[:])
	return row, nil
}

// cellValue is the JSON of a cell.
func cellValue(kind config.Kind, text string) (json.RawMessage, error) {
	var value any = text
	switch kind {
	case config.Number:
		value = json.Number(text)
	case config.Switch:
		switch strings.ToLower(text) {
		case "true", "false": // spreadsheets write capital letters
			value = strings.EqualFold(text, "true")
		default:
			return nil, fmt.Errorf("must be true or false")
		}
	case config.List:
		var list []string
		for item := range strings.SplitSeq(text, ",") {
			list = append(list, strings.TrimSpace(item))
		}
		value = list
	}
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("must be a number")
	}
	return b, nil
}

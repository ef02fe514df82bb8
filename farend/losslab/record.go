//go:build linux

// Runs that are kept, one line of JSON each, and what is drawn from them.

package losslab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// runsFile is the file in a folder that holds the runs; plots and table are drawn from it.
const runsFile = "runs.jsonl"

// maxRecord is the longest such file: a run has some 10 kB.
const maxRecord = 256 << 20

// Record keeps r in the folder, in the place of the last run of the same scenario, sender and
// seed, and draws the scenario's plot and the table of all runs again.
func Record(folder string, r Result) error {
	path := filepath.Join(folder, runsFile)
	b, err := openfile.Read(path, maxRecord)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all, err := ReadRuns(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	all = append(slices.DeleteFunc(all, r.isSameRun), r)
	slices.SortStableFunc(all, compareRuns)
	var lines, table bytes.Buffer
	table.WriteString(TableHeading())
	for _, run := range all {
		if err := run.WriteJSON(&lines); err != nil {
			return err
		}
		table.WriteString(run.String())
	}
	s, err := FindScenarios(r.Scenario)
	if err != nil {
		return err
	}
	var plot bytes.Buffer
	if err := Plot(&plot, s[0], plottedRuns(all, r)); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(path, lines.Bytes(), 0o644),
		os.WriteFile(filepath.Join(folder, "table.txt"), table.Bytes(), 0o644),
		os.WriteFile(filepath.Join(folder, r.Scenario+".svg"), plot.Bytes(), 0o644))
}

// ReadRuns reads what WriteJSON wrote.
func ReadRuns(r io.Reader) (out []Result, err error) {
	d := json.NewDecoder(r)
	for {
		var run Result
		if err := d.Decode(&run); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("run %d: %w", len(out)+1, err)
		}
		out = append(out, run)
	}
}

func (r Result) isSameRun(o Result) bool {
	return r.Scenario == o.Scenario && r.Sender == o.Sender && r.Seed == o.Seed
}

// compareRuns orders the table: scenarios as in Scenarios, then seeds, then senders.
func compareRuns(a, b Result) int {
	place := func(r Result) int {
		return slices.IndexFunc(Scenarios(), func(s Scenario) bool { return s.Name == r.Scenario })
	}
	if d := place(a) - place(b); d != 0 {
		return d
	}
	if d := int(a.Seed - b.Seed); d != 0 {
		return d
	}
	return bytes.Compare([]byte(a.Sender), []byte(b.Sender))
}

// plottedRuns are the runs of r's scenario with the lowest seed, one for each sender.
func plottedRuns(all []Result, r Result) (out []Result) {
	for _, run := range all { // in the table's order
		if run.Scenario == r.Scenario && (len(out) == 0 || run.Seed == out[0].Seed) {
			out = append(out, run)
		}
	}
	return out
}

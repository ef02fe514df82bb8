// camctl flash --seeds: one card after the other.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A writtenRow is what --json says of a card.
type writtenRow struct {
	Name string `json:"name"`
	writtenCard
}

// errSkipped: a person leaves a row out.
var errSkipped = errors.New("left out")

// skipWord is what the person types for that.
const skipWord = "skip"

// writeRows writes a card for each row that has none yet.
func (w *flashWork) writeRows(common []byte) (err error) {
	table := w.options.seeds
	rows, err := readRows(table, common, w.defaults)
	if err != nil {
		return err
	}
	unlock, err := lockPath(table + ".lock")
	if errors.Is(err, errInUse) {
		return fmt.Errorf("another camctl flash uses %s", table)
	}
	if err != nil {
		return fmt.Errorf("--seeds: %w", err)
	}
	defer unlock()
	done, err := openDone(table)
	if err != nil {
		return err
	}
	left := w.leftRows(rows, done)
	written, skipped, err := w.writeLeft(left, done)
	if err != nil {
		err = fmt.Errorf("%w: %d of %d rows are written; the same command goes on with the others", err,
			len(rows)-len(left)+len(written), len(rows))
	} else if len(skipped) > 0 {
		err = fmt.Errorf("left out: %s: the same command goes on with them", strings.Join(skipped, ", "))
	}
	if *w.options.asJSON { // after an error, too: it has passwords that are nowhere else
		err = errors.Join(err, printJSON(w.cmd, map[string]any{"rows": len(rows), "written": written}))
	}
	return err
}

// writeLeft goes through the rows.
func (w *flashWork) writeLeft(left []boardRow, done *doneRows) (written []writtenRow, skipped []string, err error) {
	fixed := w.target
	written = []writtenRow{}
	for _, row := range left {
		w.target = fixed
		one, err := w.writeRow(row, done, len(left) == 1)
		switch {
		case errors.Is(err, errSkipped):
			skipped = append(skipped, printable(row.Name))
		case err != nil:
			return written, skipped, fmt.Errorf("%s: %w", row.Name, err)
		default:
			written = append(written, writtenRow{row.Name, one})
		}
	}
	return written, skipped, nil
}

// leftRows says which rows are done, and gives the others.
func (w *flashWork) leftRows(rows []boardRow, done *doneRows) (left []boardRow) {
	var before []string
	for _, row := range rows {
		if !w.options.again && done.has(row) {
			before = append(before, printable(row.Name))
			continue
		}
		left = append(left, row)
	}
	if len(before) > 0 {
		fmt.Fprintf(w.cmd.ErrOrStderr(), "%d of %d rows were written before: %s (%s; --again writes them anew)\n",
			len(before), len(rows), strings.Join(before, ", "), done.file)
	}
	return left
}

// writeRow asks for a card, until one takes the row. The only row of a call whose card is named needs no
// question.
func (w *flashWork) writeRow(row boardRow, done *doneRows, only bool) (writtenCard, error) {
	for try := 0; ; try++ {
		if w.target == "" || !only || try > 0 {
			if err := w.askRowsCard(row); err != nil {
				return writtenCard{}, err
			}
		}
		err := w.notWritten(done)
		var one writtenCard
		if err == nil {
			one, err = w.write(row.seed)
		}
		if err == nil {
			fmt.Fprintf(w.outOrErr(), "%s:\n", printable(row.Name))
			if !*w.options.asJSON {
				w.say(one)
			}
			return one, done.add(doneRow{Name: row.Name, Settings: row.sum, Seed: seedSum(one.seed), Image: one.SHA256,
				Fingerprint: one.Fingerprint, At: time.Now().UTC().Truncate(time.Second)})
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, os.ErrPermission) {
			return writtenCard{}, err
		}
		if _, person := terminal(w.cmd.InOrStdin()); !person {
			return writtenCard{}, err
		}
		// The card's fault: another one may do.
		fmt.Fprintf(w.cmd.ErrOrStderr(), "%s: %s\n", printable(row.Name), oneLine(err))
	}
}

// outOrErr is for lines that are no JSON.
func (w *flashWork) outOrErr() io.Writer {
	if *w.options.asJSON {
		return w.cmd.ErrOrStderr()
	}
	return w.cmd.OutOrStdout()
}

// askRowsCard waits for a card for a row: by its name, which may be the same each time, or chosen.
func (w *flashWork) askRowsCard(row boardRow) error {
	in, ok := terminal(w.cmd.InOrStdin())
	if !ok {
		return fmt.Errorf("%w, and one row alone", errNoTerminal)
	}
	if w.target == "" {
		_, err := w.askCard(printable(row.Name))
		return w.skipOr(err)
	}
	answer, err := askLine(w.cmd, in, fmt.Sprintf(
		"Put the card for %s into %s, then press Enter (skip: leave it out): ",
		printable(row.Name), printable(w.target)))
	switch {
	case errors.Is(err, io.EOF):
		return errInterrupted
	case err != nil:
		return err
	case answer == skipWord:
		return errSkipped
	case answer != "":
		w.target = answer
	}
	return nil
}

// skipOr takes the word skip in the place of a card.
func (w *flashWork) skipOr(err error) error {
	if err == nil && w.target == skipWord {
		return errSkipped
	}
	return err
}

// notWritten refuses the card of a row that was written before: it was not changed.
func (w *flashWork) notWritten(done *doneRows) error {
	seed := seedOn(w.cmd.Context(), w.target)
	if len(seed) == 0 {
		return nil
	}
	if name, ok := done.onCard(seed, w.options.again); ok {
		return fmt.Errorf("%s holds the card of %s, which is done: change it", w.target, printable(name))
	}
	return nil
}

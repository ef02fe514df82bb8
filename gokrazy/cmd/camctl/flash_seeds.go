// camctl flash --seeds: one card after the other.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/lock"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
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
	if !hasSecret(common) && slices.ContainsFunc(rows, func(row boardRow) bool { return hasSecret(row.seed) }) {
		warnOfReaders(w.cmd, "--seeds", table)
	}
	unlock, err := lock.File(table + ".lock")
	if errors.Is(err, lock.ErrHeld) {
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
	sum, err := w.image.SHA256(w.cmd.Context(), w.report)
	if err != nil {
		return fmt.Errorf("%w: nothing was written", err)
	}
	left, other := w.leftRows(rows, done, sum)
	written, skipped, err := w.writeLeft(left, done)
	if err != nil {
		return fmt.Errorf("%w: %d of %d rows are written; the same command goes on with the others", err,
			len(rows)-len(left)+written, len(rows))
	}
	var missing []string
	if len(skipped) > 0 {
		missing = append(missing, "left out: "+strings.Join(skipped, ", ")+": the same command goes on with them")
	}
	if len(other) > 0 {
		missing = append(missing, "written with another image: "+strings.Join(other, ", ")+": --again writes them anew")
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(missing, "; "))
	}
	return nil
}

// writeLeft goes through the rows. The drive that one was written to is offered for the next.
func (w *flashWork) writeLeft(left []boardRow, done *doneRows) (written int, skipped []string, err error) {
	for _, row := range left {
		err := w.writeRow(row, done, len(left) == 1)
		switch {
		case errors.Is(err, errSkipped):
			skipped = append(skipped, printable(row.Name))
		case err != nil:
			return written, skipped, fmt.Errorf("%s: %w", row.Name, err)
		default:
			written++
		}
	}
	return written, skipped, nil
}

// leftRows says which rows are done, and gives the others; other names those that have another image.
func (w *flashWork) leftRows(rows []boardRow, done *doneRows, image string) (left []boardRow, other []string) {
	var before []string
	for _, row := range rows {
		last, ok := done.last(row)
		switch {
		case !ok || w.options.again:
			left = append(left, row)
		case last.Image != image:
			other = append(other, printable(row.Name))
		default:
			before = append(before, printable(row.Name))
		}
	}
	if len(before) > 0 {
		fmt.Fprintf(w.cmd.ErrOrStderr(), "%d of %d rows were written before: %s (%s; --again writes them anew)\n",
			len(before), len(rows), strings.Join(before, ", "), done.file)
	}
	return left, other
}

// writeRow asks for a card, until one takes the row. The only row of a call whose card is named needs no
// question.
func (w *flashWork) writeRow(row boardRow, done *doneRows, only bool) error {
	for try := 0; ; try++ {
		if w.target == "" || !only || try > 0 {
			if err := w.askRowsCard(row); err != nil {
				return err
			}
		}
		err := w.notWritten(done)
		var one writtenCard
		if err == nil {
			one, err = w.write(row.seed)
		}
		if err == nil {
			return w.keepRow(row, one, done)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted) || errors.Is(err, drive.ErrRights) {
			return err
		}
		if _, person := terminal(w.cmd.InOrStdin()); !person {
			return err
		}
		// The card's fault: another one may do.
		fmt.Fprintf(w.cmd.ErrOrStderr(), "%s: %s\n", printable(row.Name), oneLine(err))
	}
}

// keepRow shows the card's password, which is nowhere else, before anything else can fail.
func (w *flashWork) keepRow(row boardRow, one writtenCard, done *doneRows) error {
	if *w.options.asJSON {
		if err := printJSONLine(w.cmd, writtenRow{row.Name, one}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w.cmd.OutOrStdout(), "%s:\n", printable(row.Name))
		w.say(one)
	}
	err := done.add(doneRow{Name: row.Name, Settings: row.sum, Seed: seedSum(one.seed), Image: one.SHA256,
		Fingerprint: one.Fingerprint, At: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return fmt.Errorf("the card is good, but the list of written ones is not: %w", err)
	}
	return nil
}

// askRowsCard waits for a card for a row. Enter confirms the drive that the question names, as long as it is
// what it was; every other one is shown and confirmed.
func (w *flashWork) askRowsCard(row boardRow) error {
	in, ok := terminal(w.cmd.InOrStdin())
	if !ok {
		return fmt.Errorf("%w, and one row alone", errNoTerminal)
	}
	for {
		if w.target == "" {
			if _, err := w.askCard(printable(row.Name)); err != nil {
				return err
			}
		} else if same, err := w.askNext(in, row); err != nil || same {
			return err
		} else if w.target == "" {
			continue
		}
		err := w.confirm()
		if !errors.Is(err, errChanged) && !errors.Is(err, errNotConfirmed) {
			return err
		}
		fmt.Fprintln(w.cmd.ErrOrStderr(), oneLine(err))
		w.target = ""
	}
}

// askNext waits for the next card in the drive that is known; same says that it is in there, and that the drive
// is the same. Without a target afterwards another drive is to be chosen.
func (w *flashWork) askNext(in *os.File, row boardRow) (same bool, err error) {
	if w.shown.Path == "" { // named on the command line
		w.shown = drive.Describe(w.listed(), w.target)
	}
	dropTyped(in) // while the last card was written
	answer, err := askLine(w.cmd, in, fmt.Sprintf("Put the card for %s into %s, then press Enter "+
		"(or type another drive's name; %s: leave it out): ", printable(row.Name), w.drive(), skipWord))
	if errors.Is(err, io.EOF) {
		return false, errInterrupted
	}
	if err != nil {
		return false, err
	}
	if answer == skipWord {
		return false, errSkipped
	}
	now := w.listed()
	if answer == "" {
		return w.stillThere(drive.Describe(now, w.target)), nil
	}
	w.target = ""
	if _, err := strconv.Atoi(answer); err == nil {
		return false, nil // a number of which list?
	}
	if err := w.choose(now, now, answer); errors.Is(err, drive.ErrRights) {
		return false, withHint(err)
	} else if err != nil {
		fmt.Fprintln(w.cmd.ErrOrStderr(), oneLine(err))
	}
	return false, nil
}

// stillThere compares a drive with what was shown of it. One that is gone must be chosen anew: its reader may
// have another name now.
func (w *flashWork) stillThere(now drive.Drive) bool {
	if now.Same(w.shown) {
		return true
	}
	if w.shown = now; now.Size == 0 {
		w.target = ""
	}
	return false
}

// notWritten refuses the card of a row that was written before: it was not changed. Of a card that cannot be
// read a person must know.
func (w *flashWork) notWritten(done *doneRows) error {
	if !done.any(w.options.again) {
		return nil
	}
	seed, err := seedOn(w.target)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // writing it will say so
	}
	if err != nil {
		return w.isAnother(err)
	}
	if name, ok := done.onCard(seed, w.options.again); ok && len(seed) > 0 {
		return fmt.Errorf("%s holds the card of %s, which is done: change it", w.target, printable(name))
	}
	return nil
}

// isAnother asks whether a card is one that is not written yet.
func (w *flashWork) isAnother(unread error) error {
	if in, ok := terminal(w.cmd.InOrStdin()); ok {
		dropTyped(in)
		yes, err := askYes(w.cmd, in, fmt.Sprintf("%s: whether this card is written already cannot be read (%s). "+
			"Is it another one?", printable(w.target), oneLine(unread)))
		if err != nil || yes {
			return err
		}
	}
	return fmt.Errorf("%s: is it a card that is written already? %w", w.target, unread)
}

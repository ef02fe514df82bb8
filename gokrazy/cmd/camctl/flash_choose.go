// Which drive camctl flash writes: a person chooses it of a list, by number or name, and confirms it. The
// list may be old when the answer comes, so each answer is compared with a new one: a number or a name must
// still mean the drive that was shown.

package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/gokrazy/flash"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
)

var (
	errNoTerminal   = errors.New("nobody is there to ask: give CARD")
	errChanged      = errors.New("the drives have changed: look again")
	errNotConfirmed = errors.New("nothing was written")
)

// listed gives the drives that are there now. Without a list a name will do.
func (w *flashWork) listed() []drive.Drive {
	drives, err := w.list(w.cmd.Context())
	if err != nil {
		newLog(w.cmd).Warn("flash: the drives cannot be listed", "error", err)
	}
	return drives
}

// askCard asks for the card's name, unless the command line has it. what names the board it is for.
func (w *flashWork) askCard(what string) (asked bool, err error) {
	if w.target != "" {
		return false, nil
	}
	drives := w.listed()
	in, ok := terminal(w.cmd.InOrStdin())
	if !ok {
		return false, fmt.Errorf("%w: %s", errNoTerminal, listText(drives))
	}
	for {
		showDrives(w.cmd.ErrOrStderr(), drives)
		answer, err := askLine(w.cmd, in, cardQuestion(drives, what))
		if errors.Is(err, io.EOF) {
			return true, errInterrupted
		}
		if err != nil {
			return true, err
		}
		if answer == skipWord && what != "" {
			return true, errSkipped
		}
		now := w.listed()
		err = w.choose(drives, now, answer)
		if err == nil && w.target != "" {
			return true, nil
		}
		if errors.Is(err, drive.ErrRights) {
			return true, withHint(err)
		}
		if err != nil {
			fmt.Fprintln(w.cmd.ErrOrStderr(), oneLine(err))
		}
		drives = now
	}
}

// choose takes the drive that an answer means, if it is still what was shown and may be written.
func (w *flashWork) choose(shown, now []drive.Drive, answer string) error {
	target, err := chosen(shown, answer)
	if err != nil || target == "" {
		return err
	}
	d := drive.Describe(now, target)
	if !d.Same(drive.Describe(shown, target)) {
		return fmt.Errorf("%s: %w", target, errChanged)
	}
	if err := flash.Check(flash.Job{Image: w.image, Target: target, Sure: w.options.builtIn}); err != nil {
		return err
	}
	w.target, w.shown = target, d
	return nil
}

// confirm has a person look once more at the drive as it is now: other questions may lie behind the list.
func (w *flashWork) confirm() error {
	in, ok := terminal(w.cmd.InOrStdin())
	if !ok {
		return errNoTerminal
	}
	if err := w.unchanged(); err != nil || w.options.yes {
		return err
	}
	question := fmt.Sprintf("Everything on %s will be lost. Write it?", w.drive())
	if len(w.shown.Mounts) > 0 {
		question = fmt.Sprintf("Everything on %s will be lost, what is open there is closed. Write it?", w.drive())
	}
	dropTyped(in)
	yes, err := askYes(w.cmd, in, question)
	if err != nil {
		return err
	}
	if !yes {
		return errNotConfirmed
	}
	return w.unchanged()
}

// drive says what will be written.
func (w *flashWork) drive() string {
	if w.shown.Size == 0 { // not in the list
		return printable(w.target)
	}
	return printable(w.shown.String())
}

// unchanged compares the drive with what was shown of it.
func (w *flashWork) unchanged() error {
	if !drive.Describe(w.listed(), w.target).Same(w.shown) {
		return fmt.Errorf("%s: %w", w.target, errChanged)
	}
	return nil
}

// confirmOrAsk asks for the card anew if the drives have changed.
func (w *flashWork) confirmOrAsk() error {
	for {
		err := w.confirm()
		if !errors.Is(err, errChanged) {
			return err
		}
		fmt.Fprintln(w.cmd.ErrOrStderr(), oneLine(err))
		w.target = ""
		if _, err := w.askCard(""); err != nil {
			return err
		}
	}
}

func showDrives(w io.Writer, drives []drive.Drive) {
	if len(drives) == 0 {
		fmt.Fprintln(w, "No drive that can be taken out is there: put the card in, then press Enter.")
		return
	}
	fmt.Fprintln(w, "Drives that can be taken out:")
	for i, d := range drives {
		fmt.Fprintf(w, "  %d  %s\n", i+1, printable(d.String()))
	}
}

// listText is the same in one line.
func listText(drives []drive.Drive) string {
	if len(drives) == 0 {
		return "no drive that can be taken out is there"
	}
	all := make([]string, len(drives))
	for i, d := range drives {
		all[i] = d.String()
	}
	return "there is " + strings.Join(all, "; ")
}

func cardQuestion(drives []drive.Drive, what string) string {
	skip := ""
	if what != "" {
		what, skip = " for "+what, "; "+skipWord+": leave it out"
	}
	switch len(drives) {
	case 0:
		return "Card" + what + " (Enter: look again, or its name, such as /dev/sdb" + skip + "): "
	case 1:
		return "Card" + what + " (1, or another name; Enter: look again" + skip + "): "
	}
	return fmt.Sprintf("Card%s (1 to %d, or another name; Enter: look again%s): ", what, len(drives), skip)
}

// chosen is the drive that an answer means; "" is none yet.
func chosen(drives []drive.Drive, answer string) (string, error) {
	n, err := strconv.Atoi(answer)
	if err != nil {
		return answer, nil
	}
	if n < 1 || n > len(drives) {
		return "", fmt.Errorf("there is no drive %d", n)
	}
	return drives[n-1].Path, nil
}

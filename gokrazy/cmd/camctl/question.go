// Questions to a person on a terminal.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

var errInterrupted = errors.New("interrupted")

// terminal says whether a verb's standard input is one.
func terminal(in io.Reader) (*os.File, bool) {
	f, ok := in.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// typePassword asks for a line that is not shown.
func typePassword(cmd *cobra.Command, in *os.File, what string) (string, error) {
	password, err := askPerson(cmd, in, what+": ", func() (string, error) {
		b, err := term.ReadPassword(int(in.Fd()))
		return string(b), err
	})
	fmt.Fprintln(cmd.ErrOrStderr()) // the one that was typed is not shown, either
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return password, nil
}

// askYes says whether the answer is yes.
func askYes(cmd *cobra.Command, in *os.File, question string) (bool, error) {
	answer, err := askLine(cmd, in, question+" [yes/no] ")
	if errors.Is(err, io.EOF) { // Ctrl-D
		return false, nil
	}
	return strings.ToLower(answer) == "yes", err
}

// maxAnswer is more than anybody types.
const maxAnswer = 4096

// askLine gives a line that a person types, without what stands around it. Ctrl-D is io.EOF.
func askLine(cmd *cobra.Command, in *os.File, question string) (string, error) {
	answer, err := askPerson(cmd, in, question, func() (string, error) {
		var line []byte
		for one := make([]byte, 1); len(line) < maxAnswer; { // no more: the next question's answer may be there
			if n, err := in.Read(one); n == 0 {
				return string(line), err
			}
			if one[0] == '\n' {
				break
			}
			line = append(line, one[0])
		}
		return string(line), nil
	})
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	return strings.TrimSpace(answer), err
}

// askPerson waits for an answer, or for the context's end: Ctrl-C ends that and nothing else (untilTold), and
// a read of a terminal cannot be broken off. Its goroutine then stays until the process ends, which is
// next, and the terminal is put back as it was.
func askPerson(cmd *cobra.Command, in *os.File, question string, read func() (string, error)) (string, error) {
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	fmt.Fprint(cmd.ErrOrStderr(), question)
	var answer string
	answered := make(chan error, 1)
	go func() {
		var err error
		answer, err = read()
		answered <- err
	}()
	select {
	case err := <-answered:
		return answer, err
	case <-cmd.Context().Done():
		if err := term.Restore(int(in.Fd()), before); err != nil {
			return "", fmt.Errorf("%w, and the terminal may show nothing (stty echo): %w", errInterrupted, err)
		}
		return "", errInterrupted
	}
}

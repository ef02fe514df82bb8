// Passwords: from a file, or typed on a terminal.

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// passwordFlags are those of a verb that reads or makes a secret key.
type passwordFlags struct{ file string }

func (p *passwordFlags) add(cmd *cobra.Command, usage string) {
	cmd.Flags().StringVar(&p.file, "password-file", "", usage)
}

// choose gives the password for a new key, "" for none: typed twice on a terminal.
func (p *passwordFlags) choose(cmd *cobra.Command) (string, error) {
	if p.file != "" {
		return readPassword(p.file)
	}
	in, ok := terminal(cmd.InOrStdin())
	if !ok {
		return "", nil
	}
	first, err := typePassword(cmd, in, "password for the new key (empty: none)")
	if err != nil || first == "" {
		return "", err
	}
	second, err := typePassword(cmd, in, "once more")
	if err == nil && first != second {
		err = errors.New("the two passwords differ: nothing was made")
	}
	return first, err
}

// ask gives the password of the key in file.
func (p *passwordFlags) ask(cmd *cobra.Command, file string) (string, error) {
	if p.file != "" {
		return readPassword(p.file)
	}
	in, ok := terminal(cmd.InOrStdin())
	if !ok {
		return "", fmt.Errorf("%s: protected by a password: give --password-file", file)
	}
	return typePassword(cmd, in, "password of "+file)
}

// readPassword reads the only line of a file that other users cannot read.
func readPassword(file string) (string, error) {
	b, err := openfile.ReadSecret(file, keyFileMax)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n") {
		return "", fmt.Errorf("--password-file %s: must hold the password in one line and nothing else", file)
	}
	return password, nil
}

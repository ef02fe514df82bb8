// How a verb reaches a board: which certificate it must show, and the password.

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/remote"
)

// passwordVariable of the environment has the password, for scripts.
const passwordVariable = "KRAZYCAM_PASSWORD"

// errOneHost: no two boards have one certificate.
var errOneHost = usagef("--fingerprint is one board's: give one HOST")

// access has the flags of verbs that ask a board. The same password goes to all boards of a command line;
// it is typed once.
type access struct {
	passwordFlags
	fingerprint string
	typed       string
}

func (a *access) add(cmd *cobra.Command) {
	a.passwordFlags.add(cmd, "`FILE` with the board's password (default $"+passwordVariable+", else it is asked)")
	cmd.Flags().StringVar(&a.fingerprint, "fingerprint", "",
		"SHA-256 `DIGITS` of the board's certificate, as its console shows them, instead of what is remembered")
}

// client gives the client for a host. A host that is not known is asked for its certificate, and a person
// on a terminal whether that is right. Without mustPassword, no password is no error.
func (a *access) client(cmd *cobra.Command, host string, mustPassword bool) (*remote.Client, error) {
	fingerprint, err := a.pin(cmd, host)
	if err != nil {
		return nil, err
	}
	password, err := a.password(cmd, mustPassword)
	if err != nil {
		return nil, err
	}
	return &remote.Client{Host: host, Fingerprint: fingerprint, Password: password}, nil
}

// pin finds the fingerprint that the board must show.
func (a *access) pin(cmd *cobra.Command, host string) (string, error) {
	known, err := remote.OpenUsersKnown()
	if err != nil {
		return "", err
	}
	if a.fingerprint != "" {
		fingerprint, err := certificate.ParseFingerprint(a.fingerprint)
		if err != nil {
			return "", usageError{fmt.Errorf("--%w", err)}
		}
		seen, err := remote.FetchFingerprint(cmd.Context(), host)
		if err != nil {
			return "", err
		}
		if seen != fingerprint {
			return "", fmt.Errorf("%s: %w: it is %s", host, remote.ErrFingerprint, seen)
		}
		return fingerprint, known.Remember(host, fingerprint)
	}
	seen, recognised, err := known.Look(cmd.Context(), host)
	if err != nil || recognised {
		return seen, err
	}
	return seen, a.askAbout(cmd, known, host, seen)
}

// askAbout has a person compare the digits.
func (a *access) askAbout(cmd *cobra.Command, known *remote.Known, host, seen string) error {
	in, ok := terminal(cmd.InOrStdin())
	if !ok {
		return fmt.Errorf("%s: its certificate is not known here: compare %s with what its console shows "+
			"(camweb READY), and give it to --fingerprint", host, seen)
	}
	yes, err := askYes(cmd, in, fmt.Sprintf("%s is not known here. The fingerprint of its certificate is\n  %s\n"+
		"Its console shows the same digits (camweb READY). Are they right?", host, seen))
	if err != nil {
		return fmt.Errorf("%s: %w", host, err)
	}
	if !yes {
		return fmt.Errorf("%s: nothing was sent: its certificate is not trusted", host)
	}
	return known.Remember(host, seen)
}

// password comes from a file, the environment, or a person.
func (a *access) password(cmd *cobra.Command, must bool) (string, error) {
	if a.file != "" {
		return readPassword(a.file)
	}
	if password := os.Getenv(passwordVariable); password != "" {
		return password, nil
	}
	if !must || a.typed != "" {
		return a.typed, nil
	}
	in, ok := terminal(cmd.InOrStdin())
	if !ok {
		return "", fmt.Errorf("this needs the board's password: --password-file, or $%s", passwordVariable)
	}
	var err error
	a.typed, err = typePassword(cmd, in, "password of the board")
	return a.typed, err
}

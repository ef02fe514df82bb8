// Command camsource streams a camera as VP8 over RTP/RTCP to the receiver that
// its gateway names. One static program, on the board and on any Linux PC.
//
// Exit codes: 0 done or told to end, 1 it failed, 2 it was called or configured wrongly. One
// line for machines goes to stderr whenever a stream has begun:
// "camsource READY rtp=… size=… format=…". On a board the console shows it and the log.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	_ "github.com/krazycam/krazycam/encoder/nogain"  // both before Go's threads begin
	_ "github.com/krazycam/krazycam/encoder/oneheap" //
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks a command line that is wrong.
var errUsage = errors.New("wrong usage")

// A configurationError is what only the owner can mend, in the file or in what goes with it. Its exit code is that
// of wrong usage: whoever supervises camsource must not start it again (RestartPreventExitStatus of its unit).
type configurationError struct{ error }

func (e configurationError) Unwrap() error { return e.error }

// asConfigurationError marks err as one, unless it is of a file that may be read the next time, as on a disk that
// fails or a machine without descriptors: that is no reason never to be started again.
func asConfigurationError(err error) error {
	var file *fs.PathError
	if !errors.As(err, &file) {
		return configurationError{err}
	}
	for _, lasting := range []error{fs.ErrNotExist, fs.ErrPermission, openfile.ErrKind, openfile.ErrTooLong,
		openfile.ErrReadable} {
		if errors.Is(err, lasting) {
			return configurationError{err}
		}
	}
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := machine.LimitProcess(); err != nil { // it streams all the same
		fmt.Fprintln(os.Stderr, "camsource: warning:", err)
	}
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr, dropPrivileges)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "camsource:", err)
	if errors.Is(err, errUsage) || errors.As(err, new(configurationError)) {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

// run is main with its surroundings passed in; dropRights gives up root once the camera is
// open, and logs where the rest does. An error is one line.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, dropRights func(*slog.Logger) error) error {
	root := newRootCommand(dropRights)
	root.SetArgs(slices.Concat([]string{}, args)) // cobra takes nil for "those of this process"
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if errors.Is(err, errUsage) {
		return fmt.Errorf("%w (%s --help lists the flags)", err, cmd.CommandPath())
	}
	return err
}

// newRootCommand gives camsource with all its verbs. Without a verb it streams.
func newRootCommand(dropRights func(*slog.Logger) error) *cobra.Command {
	root := newStreamCommand(dropRights)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.DisableDefaultCmd = true // ours takes a wrong shell for an error
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newCamerasCommand(), newBenchCommand(), newVersionCommand(), newCompletionCommand(),
		newManualCommand())
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	cobra.CheckErr(err)
	help.Args = knownVerb
	return root
}

// flagError says in one line what is wrong with a flag. It leaves out what the flag was
// given: the check repeats that, unless it is secret.
func flagError(_ *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		err = fmt.Errorf("--%s: %w", value.GetFlag().Name, value.Unwrap())
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedShortnames()) > 1:
		name, _, _ := strings.Cut(unknown.GetSpecifiedShortnames(), "=")
		err = fmt.Errorf("-%s: a flag has two dashes: --%[1]s", name)
	}
	return fmt.Errorf("%w: %w", errUsage, err)
}

// noArguments is for a verb that has nothing but flags.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, args[0])
	}
	return nil
}

// knownVerb is for help, which would print that of camsource for a verb that does not exist.
func knownVerb(cmd *cobra.Command, args []string) error {
	_, rest, err := cmd.Root().Find(args)
	if err == nil {
		err = noArguments(cmd, rest)
	}
	return err
}

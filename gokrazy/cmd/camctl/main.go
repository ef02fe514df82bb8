// Command camctl is what the owner's machine runs around a board: it makes,
// reads, writes and boots images. One file for each verb; main.go holds the
// root, the exit codes and nothing else. Test it with run, without a process.
//
// Exit codes: 0 done, 1 it failed, 2 it was called wrongly. A failure is one
// line on stderr that says what to do. With --json a verb prints exactly one
// JSON object on stdout, flash --seeds one for each card; logs and progress
// always go to stderr.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/manpage"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// patience is how long the end of a verb cannot be hurried.
const patience = time.Second

// version is that of the tree and buildTime its commit's time in Unix seconds, put in with
// -ldflags "-X main.version=… -X main.buildTime=…" by scripts/build.
var version, buildTime string

func main() {
	ctx, stop := untilTold()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilTold gives a context that ends with the first signal. A second one ends at once what
// does not look at the first, such as a card that takes no byte any more; but one that comes
// with the first, as from a terminal and a script that hands it on, must not keep a VM from
// removing its folder.
func untilTold() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, stop) })
	return ctx, stop
}

// endSignals include the terminal's end, which would leave a VM's folder behind;
// under nohup it stays ignored.
func endSignals() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

// run is main without the process: the exit code of one command line. It ends
// early when ctx does, as far as the verb looks at cmd.Context().
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	started := false
	root := newRootCommand(&started)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var missing missingError
	if errors.As(err, &missing) {
		fmt.Fprintln(stderr, cmd.UsageString())
	}
	fmt.Fprintf(stderr, "%s: %s\n", cmd.CommandPath(), oneLine(err))
	var usage usageError
	if !started || errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// newRootCommand sets *started once flags and arguments of a verb are right:
// cobra has no type for its own errors, and all of them come before that.
func newRootCommand(started *bool) *cobra.Command {
	root := &cobra.Command{
		Use:           "camctl",
		Short:         "Makes, flashes and boots images for boards with a webcam",
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			// cobra checks these two only after this function.
			if err := cmd.ValidateRequiredFlags(); err != nil {
				return err
			}
			if err := cmd.ValidateFlagGroups(); err != nil {
				return err
			}
			*started = true
			return nil
		},
	}
	root.AddCommand(
		newBoardsCommand(),
		newImageCommand(),
		newInspectCommand(),
		newSourcesCommand(),
		newFlashCommand(),
		newVMCommand(),
		newBenchCommand(),
		newReceiveCommand(),
		newKeysCommand(),
		newBundleCommand(),
		newUpdateCommand(),
		newStatusCommand(),
		newPromoteCommand(),
		newRebootCommand(),
		manpage.Command(manpage.ParseAbout(versionText(), buildTime)),
	)
	return root
}

// A usageError is a command line that is wrong in a way cobra cannot see, such
// as a board that does not exist. It ends camctl with exit code 2.
type usageError struct{ error }

// Unwrap gives errors.Is and errors.As the cause.
func (e usageError) Unwrap() error { return e.error }

// usagef is fmt.Errorf for a command line that is wrong.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// A missingError is a command line without something that its verb needs: most likely somebody who
// does not know the verb, and who is shown its usage.
type missingError struct{ names []string }

func (e missingError) Error() string {
	return strings.Join(e.names, " and ") + " missing (--help says more)"
}

// exactly is for a verb with these arguments.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return missingError{names[len(args):]}
		case len(args) > len(names):
			return fmt.Errorf("unexpected %q", args[len(names)])
		}
		return nil
	}
}

// oneLine puts cobra's suggestions behind its error instead of below it. An error
// about a stranger's image may hold names out of it.
func oneLine(err error) string {
	return printable(strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool {
		return r == '\n' || r == '\t' || r == '\r'
	}), " "))
}

// versionText is the version of the tree that camctl was built from, or what Go knows of it.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

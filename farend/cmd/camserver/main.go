// Command camserver is the far end for many cameras: gateway, receivers, API and metrics in one program.
// One file for each verb; main.go holds the root and the exit codes.
//
// Exit codes: 0 ended on request, 1 it failed, 2 it was called or configured wrongly. A failure is one line
// on stderr that says what to do. The log goes to stderr, too.
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

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/adminverbs"
	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/firmware/manpage"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// version is that of the tree and buildTime its commit's time in Unix seconds, put in with
// -ldflags "-X main.version=… -X main.buildTime=…" by scripts/build.
var version, buildTime string

func main() {
	ctx, stop := untilTold()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilTold gives a context that ends with the first signal. A second one ends the process at once, which
// loses nothing: what was answered to a camera is in the database before the answer leaves.
func untilTold() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// run is main without the process: the exit code of one command line.
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
	fmt.Fprintf(stderr, "%s: %s\n", cmd.CommandPath(), strings.Join(strings.Fields(err.Error()), " "))
	var usage usageError
	var inFile *settings.Error
	if !started || errors.As(err, &usage) || errors.As(err, &inFile) {
		return exitUsage
	}
	return exitFailed
}

// newRootCommand sets *started once flags and arguments of a verb are right: cobra has no type for its own
// errors, and all of them come before that.
func newRootCommand(started *bool) *cobra.Command {
	root := newServeCommand()
	root.Version = versionText()
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
			return err
		}
		*started = true
		return nil
	}
	root.AddCommand(adminverbs.Commands(openForVerb)...)
	root.AddCommand(newUpdatesCommand())
	root.AddCommand(manpage.Command(manpage.ParseAbout(versionText(), buildTime)))
	return root
}

// A usageError is a command line or a file that is wrong in a way cobra cannot see.
type usageError struct{ error }

// Unwrap gives errors.Is and errors.As the cause.
func (e usageError) Unwrap() error { return e.error }

// versionText is the version of the tree that camserver was built from, or what Go knows of it.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

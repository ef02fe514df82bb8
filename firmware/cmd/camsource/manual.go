// camsource manual: its own manual pages, and that of its configuration file.

package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/manpage"
)

// newManualCommand writes the pages of man1 into the folder that is named, and krazycam.json.5 into man5 beside it.
func newManualCommand() *cobra.Command {
	about := manpage.ParseAbout(version, buildTime)
	cmd := manpage.Command(about)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%w: manual is for one folder", errUsage)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		// A page is not about the machine on which it was made.
		state := cmd.Root().Flags().Lookup("state")
		state.DefValue = "~/.local/state/camsource, of root and services /var/lib/camsource"
		if err := manpage.Commands(cmd.Root(), args[0], about); err != nil {
			return err
		}
		return manpage.Settings(filepath.Join(filepath.Dir(args[0]), "man5"), about)
	}
	return cmd
}

// The verbs for administrators: farend/adminverbs with the database of the settings.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/farend/store"
)

// openForVerb gives a verb the flags of the group state, and what opens the database by them.
func openForVerb(cmd *cobra.Command) func(context.Context) (*store.Store, error) {
	o := addOptions(cmd, "state")
	return func(ctx context.Context) (*store.Store, error) {
		s, err := o.settings()
		if err == nil {
			err = checkState(s.State)
		}
		if err != nil {
			return nil, err
		}
		return openStore(ctx, s.State)
	}
}

// checkState keeps a verb from making a new database where the name of the folder is wrong.
func checkState(s settings.State) error {
	if s.Database != "" {
		return nil
	}
	path := filepath.Join(s.Folder, server.DatabaseFile)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database at %s: --state, --database or --config say where the server keeps it; "+
			"its first start makes it", path)
	}
	return err
}

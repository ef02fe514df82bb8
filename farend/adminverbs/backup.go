// camserver backup: a copy of the database.

package adminverbs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func newBackup(open Opener) *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Writes a copy of the database while the server runs", Args: cobra.ExactArgs(1),
		Long: "Writes a copy of the database, of one moment, while the server runs. FILE must not be there. To\n" +
			"restore it, stop the server and put it in the place of krazycam.db in the state folder, without\n" +
			"-wal and -shm beside it. Of PostgreSQL, pg_dump makes one.",
	}
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already: name another file, or remove it", args[0])
		}
		if err := j.store.Backup(ctx, path); err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		return j.print(map[string]any{"file": path, "bytes": info.Size()}, func(line func(...any)) {
			line(fmt.Sprintf("%s: %d bytes", args[0], info.Size()))
		})
	})
}

// camctl bench: waits on a board's console for what the board can encode.

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

func newBenchCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "bench CONSOLE",
		Short: "Keeps what a board measured about itself",
		Long: "Waits on a board's serial console for the result of its bench, shows the progress meanwhile,\n" +
			"and prints the result or keeps it in a file for `camsource bench --compare`. The board measures\n" +
			"once if its krazycam.json (camctl flash --seed) says {\"bench\": {\"once\": true}}, and prints the\n" +
			"result again at each start. Beside once, \"sizes\": [\"640x480\"], \"speeds\": [-12], \"threads\": [1]\n" +
			"and \"frames\": 100 say what; without, it takes minutes on a board, an hour in a VM.\n" +
			"A bench that a power cut ended is not begun again by itself: the next start says so, and streams.\n\n" +
			"  stty -F /dev/ttyUSB0 115200 raw && camctl bench /dev/ttyUSB0 --out pi4.json\n" +
			"  camctl vm cam.img --seed krazycam.json | camctl bench -      ends both;\n" +
			"  --snapshot would measure each time",
		Args: exactly("CONSOLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out != "" { // before minutes are spent
				if err := atomicfile.CheckWrite(out); err != nil {
					return fmt.Errorf("--out: %w", err)
				}
			}
			console := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := openfile.Console(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				console = f
			}
			result, err := interruptible(cmd.Context(),
				func() ([]byte, error) { return awaitBench(console, cmd.ErrOrStderr()) })
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(result)
				return err
			}
			if err := atomicfile.Write(out, 0o644, atomicfile.Bytes(result)); err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "kept in", out)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "keep the result in this `file` instead of printing it")
	return cmd
}

// interruptible waits for read or ctx. A read of a silent terminal ends with the process only.
func interruptible(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type outcome struct {
		b   []byte
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		b, err := read()
		done <- outcome{b, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.New("interrupted before a result came")
	case o := <-done:
		return o.b, o.err
	}
}

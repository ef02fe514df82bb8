// camctl bench: waits on a board's console for what the board can encode.

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const (
	benchLine     = "camsource BENCH " // before the result: firmware/cmd/camsource/bench_once.go
	benchProgress = "bench: "
	maxBenchLine  = 1 << 20 // a result has 400 bytes for a row
)

func newBenchCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "bench CONSOLE",
		Short: "Keeps what a board measured about itself",
		Long: "Waits on a board's serial console for the result of its bench, shows the progress meanwhile, and prints the result or\n" +
			"keeps it in a file for `camsource bench --compare`. The board measures once if its krazycam.json (camctl flash --seed)\n" +
			"says {\"bench\": {\"once\": true}}, and tells the result again at each start.\n\n" +
			"  stty -F /dev/ttyUSB0 115200 raw && camctl bench /dev/ttyUSB0 --out pi4.json\n" +
			"  camctl vm cam.img --seed krazycam.json | camctl bench -",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			console := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				console = f
			}
			result, err := interruptible(cmd.Context(), func() ([]byte, error) { return awaitBench(console, cmd.ErrOrStderr()) })
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(result)
				return err
			}
			return os.WriteFile(out, result, 0o644)
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

// awaitBench reads a console up to a whole result, and tells what the board says of its
// progress. A line that the kernel wrote into is passed over: the next start tells it again.
func awaitBench(console io.Reader, progress io.Writer) ([]byte, error) {
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, maxBenchLine)
	spoilt := false
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if _, result, ok := strings.Cut(line, benchLine); ok {
			var b bytes.Buffer
			if json.Indent(&b, []byte(result), "", "  ") == nil {
				b.WriteByte('\n')
				return b.Bytes(), nil
			}
			spoilt = true
			fmt.Fprintln(progress, "a result came, but not whole: the board tells it again at its next start")
		} else if at := strings.Index(line, benchProgress); at >= 0 {
			fmt.Fprintln(progress, printable(line[at:]))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if spoilt {
		return nil, errors.New("the console ended after a result that was not whole: start the board again")
	}
	return nil, errors.New(`the console ended without a result: does the board's krazycam.json say {"bench": {"once": true}}?`)
}

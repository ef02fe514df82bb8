// The result of a bench out of a serial console, on which the kernel writes too.

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

const (
	benchLine    = "camsource BENCH " // before the result: firmware/cmd/camsource/bench_once.go
	maxBenchLine = 1 << 20            // a result has 400 bytes for a row
	askForBench  = `does the board's krazycam.json say {"bench": {"once": true}}?`
)

// kernelStamp begins what the kernel writes, whole lines but anywhere in those of others: it
// does not wait for them, and a result takes a second at 115200 baud.
var kernelStamp = regexp.MustCompile(`\[ *\d+\.\d{6}\] `)

// benchSays is what a person wants to see of it.
var benchSays = regexp.MustCompile(`(bench: |^recommended: ).*`)

// noBench is what a board says that streams, or waits for a configuration.
var noBench = regexp.MustCompile(`^camsource (READY|IDLE) `)

// consoleLines are what the programs of a board wrote, without the kernel's lines.
type consoleLines struct{ raw *bufio.Scanner }

// next puts a line together again that the kernel wrote into. false: see raw.Err.
func (c consoleLines) next() (line string, ok bool) {
	for c.raw.Scan() {
		part := c.raw.Text()
		at := kernelStamp.FindStringIndex(part)
		if at == nil {
			return strings.TrimRight(line+part, "\r"), true
		}
		if len(line) < maxBenchLine {
			line += part[:at[0]]
		}
	}
	return line, line != ""
}

// awaitBench reads a console up to a whole result, and tells what the board says of its
// progress.
func awaitBench(console io.Reader, progress io.Writer) ([]byte, error) {
	lines := consoleLines{bufio.NewScanner(console)}
	lines.raw.Buffer(nil, maxBenchLine)
	spoilt, hinted := false, false
	for line, ok := lines.next(); ok; line, ok = lines.next() {
		if _, result, found := strings.Cut(line, benchLine); found {
			var b bytes.Buffer
			if json.Indent(&b, []byte(result), "", "  ") == nil {
				b.WriteByte('\n')
				return b.Bytes(), nil
			}
			spoilt = true
			fmt.Fprintln(progress, "a result came, but not whole: the board tells it again at its next start")
		} else if said := benchSays.FindString(line); said != "" {
			fmt.Fprintln(progress, printable(said))
		} else if noBench.MatchString(line) && !spoilt && !hinted {
			hinted = true
			fmt.Fprintln(progress, "the board has begun without a result, and is waited for until its next start:",
				askForBench)
		}
	}
	if err := lines.raw.Err(); err != nil {
		return nil, err
	}
	if spoilt {
		return nil, errors.New("the console ended after a result that was not whole: start the board again")
	}
	return nil, errors.New("the console ended without a result: " + askForBench)
}

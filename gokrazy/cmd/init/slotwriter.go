// Running slotwriter, the program that writes the other slot: without a network, one at a time, for a
// bounded time, behind the stream.
// Sources: network_namespaces(7), setpriority(2).

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/gokrazy/control"
)

const (
	slotwriterPath = "/gokrazy/slotwriter"

	// writeTimeout: 360 MB at 1 MB/s, as a card in its worst hour has it, and reading it back.
	writeTimeout = 15 * time.Minute
	// writerNiceness: the stream goes first.
	writerNiceness = 19
	// maxWriterLine bounds a line of slotwriter's, which is longer than any of its errors.
	maxWriterLine = 16 << 10

	progressPrefix = "slotwriter PROGRESS "
)

// A slotWriter runs the program.
type slotWriter struct {
	log      *slog.Logger
	keys     func() []string // of the configuration
	keysFile string          // that the program reads them from
	progress chan<- string   // what it does at present
}

// write has the other slot written, and returns the program's own words if it refuses.
func (w slotWriter) write(ctx context.Context, job writerJob) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	p := job.place
	args := []string{"--disk", p.disk, "--running", string(p.running), "--board", p.board, "--json"}
	if job.rootOnly {
		args = append(args, "--root", control.UnsignedRoot)
	} else {
		keys := []byte(strings.Join(w.keys(), "\n") + "\n")
		if err := atomicfile.Replace(w.keysFile, 0o600, atomicfile.Bytes(keys)); err != nil {
			return err
		}
		args = append(args, "--spool", control.Spool, "--keys", w.keysFile)
	}
	start := uptime()
	out, err := w.run(ctx, slotwriterPath, args)
	if err != nil {
		return err
	}
	w.log.Info("slot written", "slot", p.running.Other(), "after", (uptime() - start).Round(time.Millisecond),
		"result", string(out))
	return nil
}

// run starts a program in a network namespace of its own, where not even a loopback is up. out is
// what it printed.
func (w slotWriter) run(ctx context.Context, program string, args []string) (out []byte, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	var stdout bytes.Buffer
	cmd.Stdout = &limitedWriter{&stdout, maxWriterLine}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("slotwriter: %w", err)
	}
	// All threads of the group: PRIO_PROCESS would be one.
	if err := unix.Setpriority(unix.PRIO_PGRP, cmd.Process.Pid, writerNiceness); err != nil {
		w.log.Warn("slotwriter runs at normal priority", "error", err)
	}
	last := w.follow(stderr)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("slotwriter: not done in %v: %w", writeTimeout, ctx.Err())
	case err != nil && last != "":
		return nil, errors.New(last)
	case err != nil:
		return nil, fmt.Errorf("slotwriter: %w", err)
	}
	return bytes.TrimSpace(stdout.Bytes()), nil
}

// follow reads what the program says until it has ended, and returns its last word.
func (w slotWriter) follow(r io.Reader) (last string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxWriterLine)
	for lines.Scan() {
		if doing, ok := strings.CutPrefix(lines.Text(), progressPrefix); ok {
			select {
			case w.progress <- doing:
			default: // the next one is newer anyway
			}
			continue
		}
		last = strings.TrimPrefix(lines.Text(), "slotwriter: ")
	}
	_, _ = io.Copy(io.Discard, r) // behind a line that is too long; else the program would wait
	return last
}

// A limitedWriter takes what fits and drops the rest.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(b []byte) (int, error) {
	part := b[:min(len(b), l.left)]
	l.left -= len(part)
	if _, err := l.w.Write(part); err != nil {
		return 0, err
	}
	return len(b), nil
}

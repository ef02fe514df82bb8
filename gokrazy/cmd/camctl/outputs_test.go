//go:build unix

// What camctl writes to the files that its command line names.

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOutputsFollowLinksAndReplaceNoDevice(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, path string) error{
		"bench --out": func(t *testing.T, path string) error {
			console := filepath.Join(t.TempDir(), "console")
			if err := os.WriteFile(console, []byte(benchConsole), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), []string{"bench", console, "--out", path}, &stdout, &stderr); code != exitDone {
				return errors.New(stderr.String())
			}
			return nil
		},
		"receive --seed-out": func(t *testing.T, path string) error {
			_, err := receiveOnce(t, "--state", t.TempDir(), "--seed-out", path)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			link, file, pipe := filepath.Join(dir, "link"), filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
			if err := errors.Join(os.Symlink("file", link), syscall.Mkfifo(pipe, 0o600)); err != nil {
				t.Fatal(err)
			}
			if err := write(t, link); err != nil {
				t.Error(err)
			}
			b, err := os.ReadFile(file)
			info, linkErr := os.Lstat(link)
			if err != nil || len(b) == 0 || linkErr != nil || info.Mode().Type() != fs.ModeSymlink {
				t.Errorf("behind a link: %q, %v; the link is now a %v", b, err, info.Mode())
			}
			if err := write(t, pipe); err == nil || !strings.Contains(err.Error(), "a pipe that nobody reads") {
				t.Errorf("a pipe that nobody reads: %v", err)
			}
			if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
				t.Errorf("a %v stands in the place of the pipe, %v", info.Mode(), err)
			}
		})
	}
}

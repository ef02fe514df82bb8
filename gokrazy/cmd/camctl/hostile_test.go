//go:build unix

// Files that are none: whatever a verb is given by name, it says so at once, in one line.

package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// hostileFiles are names that a program could wait for, read without end or fill memory from.
func hostileFiles(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	err = errors.Join(syscall.Mkfifo(at("pipe"), 0o600), os.Symlink(at("loop"), at("loop")),
		os.Mkdir(at("folder"), 0o700), os.WriteFile(at("large"), nil, 0o600), os.Truncate(at("large"), 100<<20),
		os.Symlink(at("pipe"), at("link")))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"a named pipe": at("pipe"), "a link to a pipe": at("link"), "a link to itself": at("loop"),
		"a folder": at("folder"), "a socket": at("socket"), "/dev/zero": "/dev/zero", "/dev/ptmx": "/dev/ptmx",
		"100 MB of zeros": at("large"),
	}
}

func TestNoVerbWaitsForAFileThatIsNone(t *testing.T) {
	image := tinyImage(t, t.TempDir())
	state := t.TempDir()
	rpi := []string{"image", "--board", "rpi", "-o", "x"}
	listen := []string{"receive", "--listen", "127.0.0.1:0", "--rtp", "0", "--rtcp", "0", "--state", state}
	verbs := map[string]func(file string) []string{
		"inspect":            func(f string) []string { return []string{"inspect", f} },
		"sources":            func(f string) []string { return []string{"sources", f} },
		"flash, the image":   func(f string) []string { return []string{"flash", f, image} },
		"flash --seed":       func(f string) []string { return []string{"flash", "--seed", f, image, image} },
		"image --config":     func(f string) []string { return append(rpi, "--config", f) },
		"image --pins":       func(f string) []string { return append(rpi, "--pins", f) },
		"vm --seed":          func(f string) []string { return []string{"vm", image, "--seed", f} },
		"vm --camera":        func(f string) []string { return []string{"vm", image, "--camera", f} },
		"image --update-key": func(f string) []string { return append(rpi, "--update-key", f) },
		"bundle --key":       func(f string) []string { return []string{"bundle", "--board", "rpi", "--key", f} },
		"keys show":          func(f string) []string { return []string{"keys", "show", f} },
		"receive --key-file": func(f string) []string {
			return append(listen, "--key-file", f)
		},
		"receive --cert": func(f string) []string {
			return append(listen, "--key", "k", "--cert", f, "--tls-key", f)
		},
	}
	for what, file := range hostileFiles(t) {
		for verb, args := range verbs {
			lineOfFailure(t, verb+" of "+what, args(file))
		}
	}
	for what, file := range hostileFiles(t) {
		for _, name := range []string{"key", "utilization_ids.json", "gateway-cert.pem"} {
			state := t.TempDir()
			if err := os.Symlink(file, filepath.Join(state, name)); err != nil {
				t.Fatal(err)
			}
			lineOfFailure(t, name+" in the state directory: "+what, []string{"receive", "--listen", "127.0.0.1:0",
				"--rtp", "0", "--rtcp", "0", "--tls", "--state", state})
		}
	}
	for _, what := range []string{"a named pipe", "a folder", "a socket", "a link to itself"} {
		file := hostileFiles(t)[what]
		lineOfFailure(t, "flash onto "+what, []string{"flash", image, file})
		lineOfFailure(t, "vm --serial "+what, []string{"vm", image, "--camera", "none", "--serial", file})
		lineOfFailure(t, "bench of "+what, []string{"bench", file})
		lineOfFailure(t, "vm of "+what, []string{"vm", file, "--camera", "none"})
		lineOfFailure(t, "vm --snapshot of "+what, []string{"vm", file, "--camera", "none", "--snapshot"})
	}
}

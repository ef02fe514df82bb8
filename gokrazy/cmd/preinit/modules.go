// Modules: those of a folder in the order of their names, and the process that loads
// the late ones. Spec: init_module(2).

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/initramfs"
)

// A tally is what loading a folder came to.
type tally struct {
	loaded, failed int
	took           time.Duration
}

// loadFolder loads every module of a folder and removes them, which frees their
// memory. A failure costs one line and what hangs on that module, not the board.
func loadFolder(console io.Writer, folder string) tally {
	took := stopwatch()
	var t tally
	entries, err := os.ReadDir(folder) // sorted by name: in load order
	if err != nil {
		fmt.Fprintf(console, "preinit: modules: %v\n", err)
		t.failed++
	}
	for _, e := range entries {
		if err := loadModule(filepath.Join(folder, e.Name())); err != nil {
			fmt.Fprintf(console, "preinit: module not loaded: %v\n", err)
			t.failed++
			continue
		}
		t.loaded++
	}
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintf(console, "preinit: memory not freed: %v\n", err)
	}
	t.took = took()
	return t
}

// signed ends a module that has a signature behind it. Source: Linux include/linux/module_signature.h.
const signed = "~Module signature appended~\n"

// loadModule hides the signature of a module from the kernel, which would check it. That
// proves nothing about a file out of the same archive as this program, and takes three
// quarters of the time: 18 modules in 566 ms with it, in 135 ms without, the stream's start
// 1.0 s later (QEMU, -icount with 2 ns an instruction). A kernel that insists on it gets it.
func loadModule(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	err = unix.InitModule(bytes.TrimSuffix(b, []byte(signed)), "")
	if errors.Is(err, unix.EKEYREJECTED) || errors.Is(err, unix.EPERM) {
		err = unix.InitModule(b, "")
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// startLoader starts this program once more, as the process that loads the late
// modules, and gives its number. It keeps the initramfs as its root when this process
// moves on, runs while the card is still waking up and while the root's init starts,
// and the root's init waits for it.
func startLoader() (int, error) {
	p, err := os.StartProcess("/"+initramfs.InitName, []string{"preinit-modules"}, &os.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// loadLate is all that the second process does; the program's own file goes last.
func loadLate(console io.Writer) {
	t := loadFolder(console, "/"+initramfs.LateFolder)
	if err := os.Remove("/" + initramfs.InitName); err != nil {
		fmt.Fprintf(console, "preinit: memory not freed: %v\n", err)
	}
	fmt.Fprintf(console, "preinit LOADED modules=%d failed=%d load=%dms up=%.3fs\n",
		t.loaded, t.failed, t.took.Milliseconds(), uptime().Seconds())
	if t.failed > 0 {
		os.Exit(1)
	}
}

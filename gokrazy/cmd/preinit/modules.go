// Modules are loaded by folder, in the order of their names; a process of its own loads the late
// ones. Source: init_module(2).

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

// A loadResult counts what happened to the modules of a folder.
type loadResult struct {
	loaded, failed int
	took           time.Duration
}

// loadFolder loads every module of a folder and removes the files, which frees their memory. A
// failure is reported and costs what needs that module, not the board.
func loadFolder(console io.Writer, folder string) loadResult {
	took := startStopwatch()
	var t loadResult
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

// signatureMarker ends the file of a module with a signature. Source: Linux
// include/linux/module_signature.h.
const signatureMarker = "~Module signature appended~\n"

// loadModule passes a module without its signature to the kernel, which would check it. The check
// proves nothing about a file from the same archive as this program, and takes three quarters of
// the time: 18 modules took 566 ms with it and 135 ms without, and the stream started 1.0 s
// later with it (QEMU, -icount with 2 ns an instruction). A kernel that requires the signature
// gets it.
func loadModule(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	err = unix.InitModule(bytes.TrimSuffix(b, []byte(signatureMarker)), "")
	if errors.Is(err, unix.EKEYREJECTED) || errors.Is(err, unix.EPERM) {
		err = unix.InitModule(b, "")
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// startLoader starts this program again, as the process that loads the late modules, and returns
// its process ID. That process keeps the initramfs as its root when this one enters the other
// root. It runs while the card starts and while the root's init starts, which waits for it.
func startLoader() (int, error) {
	p, err := os.StartProcess("/"+initramfs.InitName, []string{"preinit-modules"}, &os.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 0, err
	}
	return p.Pid, nil
}

// loadLate does the work of the second process. It removes the program's own file last.
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

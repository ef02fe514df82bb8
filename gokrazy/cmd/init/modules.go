// Kernel modules: gokrazy does not load those of a USB webcam. init loads them, unless the kernel
// came with an initramfs that does. Source: finit_module(2).

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// loadModules loads the files in order, in the background, and then sends how long that took;
// each path is relative to the running kernel's folder below /lib/modules. A failure is logged
// and costs the camera, not the board: the log must still be reachable.
func loadModules(log *slog.Logger, paths []string) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	loader, initramfs := os.LookupEnv(board.ModuleLoader)
	go func() {
		done := startStopwatch()
		defer func() { took <- done() }()
		if initramfs {
			if err := awaitLoader(loader); err != nil {
				log.Error("modules of the initramfs", "error", err)
			}
			return
		}
		var name unix.Utsname
		if err := unix.Uname(&name); err != nil {
			log.Error("modules: kernel release", "error", err)
			return
		}
		folder := filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]))
		for _, p := range paths {
			if err := loadModule(folder, p); err != nil {
				log.Error("module not loaded", "error", err)
			}
		}
	}()
	return took
}

// awaitLoader waits for the process that loads the modules of the initramfs. It is a child of
// process 1, because preinit was process 1 before, and must be waited for, or it stays as a
// zombie. The init of a root on trial is the second to wait, and finds no such child any more.
func awaitLoader(pidText string) error {
	pid, err := strconv.Atoi(pidText)
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s=%q: no process loads them", board.ModuleLoader, pidText)
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil:
			return fmt.Errorf("wait for process %d: %w", pid, err)
		case status.ExitStatus() != 0:
			return fmt.Errorf("process %d says that some failed: see the console", pid)
		}
		return nil
	}
}

// loadModule loads folder/path. It is no error if the module is loaded already (EEXIST), or if
// there is no file because this kernel has it built in.
func loadModule(folder, path string) error {
	f, err := openfile.File(filepath.Join(folder, path))
	if errors.Is(err, fs.ErrNotExist) && isBuiltIn(folder, path) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	return nil
}

// isBuiltIn says whether modules.builtin, which the kernel's build writes, lists path.
func isBuiltIn(folder, path string) bool {
	b, err := openfile.Read(filepath.Join(folder, "modules.builtin"), 1<<20)
	return err == nil && slices.Contains(strings.Fields(string(b)), path)
}

// Kernel modules: those of a USB webcam, which nothing on gokrazy loads by itself.
// Spec: finit_module(2).

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// loadModules loads the files in order, beside whatever else the boot does, and
// sends how long that took when it is done; each path is relative to the running
// kernel's folder below /lib/modules. A failure costs one line and the camera, not
// the board: the page and the log must still be reachable.
func loadModules(log *slog.Logger, paths []string) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	go func() {
		done := stopwatch()
		defer func() { took <- done() }()
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

// loadModule loads folder/path. It is no error if the module is loaded already
// (EEXIST), or if there is no file because this kernel has it built in.
func loadModule(folder, path string) error {
	f, err := os.Open(filepath.Join(folder, path))
	if errors.Is(err, fs.ErrNotExist) && builtIn(folder, path) {
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

// builtIn reports whether modules.builtin, which the kernel's own build makes,
// lists path.
func builtIn(folder, path string) bool {
	b, err := os.ReadFile(filepath.Join(folder, "modules.builtin"))
	return err == nil && slices.Contains(strings.Fields(string(b)), path)
}

// Command preinit is /init of the initramfs of a board whose kernel has its storage drivers in
// modules. It mounts /dev, /proc and /sys, loads the early modules, finds the root that the
// command line names, and becomes the root's init. Meanwhile a second process of it loads the
// late modules: those of network, USB and camera.
//
// All modules are in the initramfs and none in the root, because they belong to the kernel: an
// old root that is booted again with a newer kernel still finds its camera.
//
// It owns the initramfs and frees it. It reads the kernel's command line and the disk's
// partition table, nothing else. Times are the kernel's uptime.
//
// Sources: Linux Documentation/filesystems/ramfs-rootfs-initramfs.rst, switch_root(8).
package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/initramfs"
)

// version is the version of the tree, put in with -ldflags "-X main.version=…" by scripts/build.
var version = "unknown"

func main() {
	if os.Getpid() != 1 && slices.Equal(os.Args[1:], []string{"--version"}) {
		fmt.Println("preinit", version)
		return
	}
	if os.Getpid() != 1 {
		loadLate(os.Stderr)
		return
	}
	restartBoard(os.Stderr, run(os.Stderr))
}

// run becomes the root's init; it returns only with an error.
func run(console io.Writer) error {
	started := uptime()
	if err := mountKernelFilesystems(); err != nil {
		return err
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	want, err := parseCmdline(string(cmdline))
	if err != nil {
		return err
	}
	early := loadFolder(console, "/"+initramfs.EarlyFolder)
	loader, err := startLoader()
	if err != nil {
		// Without network and camera the board is of little use, but it can be updated.
		fmt.Fprintf(console, "preinit: late modules stay out: %v\n", err)
	}
	waited := startStopwatch()
	root, err := waitForRoot(console, want.root)
	if err != nil {
		return err
	}
	found := waited()
	if err := mountRoot(root); err != nil {
		return err
	}
	fmt.Fprintf(console,
		"preinit READY modules=%d failed=%d load=%dms root=%s wait=%dms start=%.3fs up=%.3fs\n",
		early.loaded, early.failed, early.took.Milliseconds(), root, found.Milliseconds(),
		started.Seconds(), uptime().Seconds())
	return enterRoot(want.init, loader)
}

// mountKernelFilesystems mounts the kernel's own file systems; the root's init finds them mounted.
func mountKernelFilesystems() error {
	for _, m := range kernelMounts {
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.at, err)
		}
	}
	return nil
}

// uptime is the time since the kernel started.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // cannot fail: the clock exists and ts is ours
	}
	return time.Duration(ts.Nano())
}

// startStopwatch returns a function that returns the time since this call.
func startStopwatch() func() time.Duration {
	from := uptime()
	return func() time.Duration { return uptime() - from }
}

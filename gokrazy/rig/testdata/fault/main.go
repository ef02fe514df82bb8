// Command fault stands in the place of a program of a board, built for it, and does what a bad version
// of it would do, or watches the real one: see how.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// how is set with -ldflags "-X main.how=…".
var how = "exit"

func main() {
	switch how {
	case "exit":
		os.Exit(1)
	case "hang":
		armWatchdog()
		time.Sleep(time.Hour)
	case "panic":
		_ = unix.Mount("proc", "/proc", "proc", 0, "")
		_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
		os.Exit(1)
	case "measure":
		measure()
	case "fill":
		fill()
	}
}

// armWatchdog does as an init does that then goes on no more. A BeagleBone's, the one in software, is
// there once its modules are loaded.
func armWatchdog() {
	if os.Getpid() != 1 {
		return
	}
	_ = unix.Mount("devtmpfs", "/dev", "devtmpfs", 0, "")
	for range 300 {
		if dog, err := unix.Open("/dev/watchdog", unix.O_WRONLY, 0); err == nil {
			_ = unix.IoctlSetPointerInt(dog, unix.WDIOC_SETTIMEOUT, 10)
			return // it stays open
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// measure runs the real program, which lies beside it, and says on the console how much memory that
// took at most.
func measure() {
	name := filepath.Base(os.Args[0])
	cmd := exec.Command(os.Args[0]+".real", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		say("measured %s: %v", name, err)
		os.Exit(1)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for peak := ""; ; {
		select {
		case <-ended:
			usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
			say("measured %s: %d kB", name, usage.Maxrss)
			os.Exit(cmd.ProcessState.ExitCode())
		case <-time.After(500 * time.Millisecond):
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
			line, _, _ := strings.Cut(string(rest), "\n")
			if line = strings.TrimSpace(line); line != peak && line != "" {
				peak = line
				say("measured %s: %s", name, line)
			}
		}
	}
}

// fill waits for a part of an update that is on its way, leaves it no room on /perm, and takes its own
// bytes away again once the board has noticed.
func fill() {
	partial := func() (size int64) {
		names, _ := filepath.Glob("/perm/update/spool/parts/*.partial")
		for _, name := range names {
			if info, err := os.Stat(name); err == nil {
				size += info.Size()
			}
		}
		return size
	}
	const filler = "/perm/filler"
	for partial() < 2<<20 {
		time.Sleep(50 * time.Millisecond)
	}
	f, err := os.Create(filler)
	if err != nil {
		say("filler: %v", err)
		return
	}
	var n int64
	for b := make([]byte, 64<<10); err == nil; n += int64(len(b)) {
		_, err = f.Write(b)
	}
	say("filler: %d bytes, %v", n, errors.Join(err, f.Close())) // an open file would keep its bytes
	for i := 0; i < 600 && partial() > 0; i++ {
		time.Sleep(100 * time.Millisecond)
	}
	say("filler: gone, %v", os.Remove(filler))
	time.Sleep(time.Hour)
}

func say(format string, args ...any) {
	console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer console.Close()
	fmt.Fprintf(console, format+"\n", args...)
}

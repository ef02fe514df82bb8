// Command fault stands in the place of a program of a board, built for it, and does what a bad version
// of it would do: see how.
package main

import (
	"os"
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
		// As an init does that opened the watchdog and then goes on no more.
		_ = unix.Mount("devtmpfs", "/dev", "devtmpfs", 0, "")
		if dog, err := os.OpenFile("/dev/watchdog", os.O_WRONLY, 0); err == nil {
			_ = unix.IoctlSetPointerInt(int(dog.Fd()), unix.WDIOC_SETTIMEOUT, 10)
			defer dog.Close()
		}
		time.Sleep(time.Hour)
	case "panic":
		_ = unix.Mount("proc", "/proc", "proc", 0, "")
		_ = os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
		os.Exit(1)
	}
}

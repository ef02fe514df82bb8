// The end of a run: init stops the services itself, because gokrazy's own way passes no argument to
// the restart and waits up to 200 s for a service that hangs.
// Sources: reboot(2); github.com/gokrazy/gokrazy, supervise.go and update.go.

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// stopTimeout is how long the services may take: camsource says BYE and sends stop_stream
	// within 1 s, a card under load syncs for some more.
	stopTimeout = 5 * time.Second
	killTimeout = 2 * time.Second
	stopPoll    = 20 * time.Millisecond

	// trybootArgument makes a Pi's boot firmware read tryboot.txt, once: the kernel's
	// bcm2835 driver takes partition 0, which is any, and the flag from it.
	trybootArgument = "0 tryboot"
)

// A serviceControl knows and ends services; supervision is one.
type serviceControl interface {
	look(path string) (process, error)
	stop(path string) error
}

// A stopper ends all services.
type stopper struct {
	control serviceControl
	paths   []string
	signal  func(pid int, signal unix.Signal) error // kill(2)
	sleep   func(time.Duration)
}

// stopAll ends the services in an orderly way, then at once. It returns after stopTimeout +
// killTimeout at most, with the paths of what would not end.
func (s stopper) stopAll() (left []string) {
	for _, path := range s.paths {
		_ = s.control.stop(path) // what cannot be asked is killed
	}
	left = s.await(s.paths, stopTimeout)
	for _, path := range left {
		if p, err := s.control.look(path); err == nil && p.Pid > 0 {
			_ = s.signal(-p.Pid, unix.SIGKILL) // its process group; gone is as good
		}
	}
	return s.await(left, killTimeout)
}

// await waits until the processes have ended, and returns those that have not.
func (s stopper) await(paths []string, limit time.Duration) (left []string) {
	for waited := time.Duration(0); ; waited += stopPoll {
		left = nil
		for _, path := range paths {
			p, err := s.control.look(path)
			if err == nil && p.Pid > 0 && s.signal(p.Pid, 0) == nil {
				left = append(left, path)
			}
		}
		if len(left) == 0 || waited >= limit {
			return left
		}
		s.sleep(stopPoll)
	}
}

// restart ends this run of the board. before is called when the services have ended and /perm is
// still there; argument is for the boot firmware. It does not return: if the kernel does not
// restart, the watchdog does.
func restart(ctx context.Context, log *slog.Logger, duties *progress, services stopper, before func(),
	argument string) {
	duties.beginShutdown(uptime())
	start := uptime()
	if left := services.stopAll(); len(left) > 0 {
		log.Error("services do not end", "services", left)
	}
	if before != nil {
		before()
	}
	if err := saveClock(clockFile, time.Now()); err != nil {
		log.Error("clock not saved", "error", err)
	}
	endRun(log, runFile)
	if err := closePerm(); err != nil {
		log.Error("restart", "error", err)
	}
	log.Info("restart", "argument", argument, "after", (uptime() - start).Round(time.Millisecond))
	if err := reboot(argument); err != nil {
		log.Error("restart", "error", err)
	}
	select { // the watchdog is not fed any more
	case <-ctx.Done():
	case <-time.After(2 * shutdownLimit): // there is none: process 1 ends, the kernel panics and restarts
		os.Exit(1)
	}
}

// closePerm makes sure that all of /perm is on the card. What is still in use there can no longer
// be written.
func closePerm() error {
	unix.Sync()
	err := unix.Unmount(permFolder, 0)
	if errors.Is(err, unix.EINVAL) {
		return nil // it is not mounted
	}
	if err != nil {
		err = unix.Mount("", permFolder, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	unix.Sync()
	if err != nil {
		return fmt.Errorf("unmount %s: %w", permFolder, err)
	}
	return nil
}

// reboot restarts the machine, with an argument for the driver that does it; "": with none.
func reboot(argument string) error {
	if argument == "" {
		return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	}
	text, err := unix.BytePtrFromString(argument)
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2,
		unix.LINUX_REBOOT_CMD_RESTART2, uintptr(unsafe.Pointer(text)), 0, 0)
	runtime.KeepAlive(text)
	if errno != 0 {
		return fmt.Errorf("reboot %q: %w", argument, errno)
	}
	return nil
}

// Package privileges lets a program of the board that was started as root go on as another user,
// with the capabilities that it names. gokrazy's supervisor ignores the user of an exec.Cmd, so
// each program gives up root by itself.
//
// Sources: capabilities(7), prctl(2) PR_SET_KEEPCAPS.
package privileges

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Drop makes every thread of the process run as this user and group, with these capabilities
// (unix.CAP_…, below 32) and no way to get others. A process that is not root's keeps what it has.
// The program must be built without cgo.
//
// It does so in this process: a re-exec, as in gokrazy's own ntp, keeps a second process for ever.
func Drop(user int, capabilities ...int) error {
	if unix.Getuid() != 0 {
		return nil
	}
	var mask uint32
	for _, c := range capabilities {
		mask |= 1 << c
	}
	if err := prctl(unix.PR_SET_KEEPCAPS, 1); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave groups: %w", err)
	}
	if err := syscall.Setresgid(user, user, user); err != nil {
		return fmt.Errorf("become group %d: %w", user, err)
	}
	if err := syscall.Setresuid(user, user, user); err != nil {
		return fmt.Errorf("become user %d: %w", user, err)
	}
	if err := capset(mask); err != nil {
		return fmt.Errorf("set capabilities %#x: %w", mask, err)
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return nil
}

// prctl, like capset, changes one thread; the runtime repeats it on each.
func prctl(option, value uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, option, value, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

func capset(mask uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: mask, Permitted: mask}}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

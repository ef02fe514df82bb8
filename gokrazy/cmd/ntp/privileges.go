// Rights: root opens what needs root, nobody runs the rest.
// Spec: capabilities(7), prctl(2) PR_SET_KEEPCAPS.

package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nobody is a user and group that owns nothing.
const nobody = 65534

// kept is what nobody still needs: setting the clock, and port 68 for DHCPINFORM.
const kept = 1<<unix.CAP_SYS_TIME | 1<<unix.CAP_NET_BIND_SERVICE

// dropPrivileges makes every thread of the process nobody's, with the kept
// capabilities and no way to new ones. It does so in place: gokrazy's supervisor
// forgets what exec.Cmd says about users, and a re-exec as gokrazy's own ntp does it
// keeps a second process alive for good. The program must be built without cgo.
func dropPrivileges() error {
	if unix.Getuid() != 0 {
		return nil // started by a user: the clock will refuse to be set, and say so
	}
	if err := prctl(unix.PR_SET_KEEPCAPS, 1); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave groups: %w", err)
	}
	if err := syscall.Setresgid(nobody, nobody, nobody); err != nil {
		return fmt.Errorf("become group %d: %w", nobody, err)
	}
	if err := syscall.Setresuid(nobody, nobody, nobody); err != nil {
		return fmt.Errorf("become user %d: %w", nobody, err)
	}
	if err := capset(kept); err != nil {
		return fmt.Errorf("set capabilities %#x: %w", kept, err)
	}
	if err := prctl(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	return nil
}

// prctl and capset work on one thread; the runtime repeats them on each.
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

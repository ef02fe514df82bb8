// Privileges: root opens what needs root; the rest runs as nobody.
// Sources: capabilities(7), prctl(2) PR_SET_KEEPCAPS.

package main

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nobodyID is a user and group that owns no files.
const nobodyID = 65534

// keptCapabilities are what nobody still needs: to set the clock, and to use port 68 for
// DHCPINFORM.
const keptCapabilities = 1<<unix.CAP_SYS_TIME | 1<<unix.CAP_NET_BIND_SERVICE

// dropPrivileges makes every thread of the process run as nobody, with keptCapabilities and no way
// to get others. It does so in this process: gokrazy's supervisor ignores the user of an
// exec.Cmd, and a re-exec, as in gokrazy's own ntp, keeps a second process for ever. The program
// must be built without cgo.
func dropPrivileges() error {
	if unix.Getuid() != 0 {
		return nil // started by a user: setting the clock will fail with an error
	}
	if err := prctl(unix.PR_SET_KEEPCAPS, 1); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave groups: %w", err)
	}
	if err := syscall.Setresgid(nobodyID, nobodyID, nobodyID); err != nil {
		return fmt.Errorf("become group %d: %w", nobodyID, err)
	}
	if err := syscall.Setresuid(nobodyID, nobodyID, nobodyID); err != nil {
		return fmt.Errorf("become user %d: %w", nobodyID, err)
	}
	if err := capset(keptCapabilities); err != nil {
		return fmt.Errorf("set capabilities %#x: %w", keptCapabilities, err)
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

//go:build !linux

// VM: macOS and Windows, without what vm_linux.go uses.
package gokrazy

import (
	"os"
	"syscall"
)

// dieWithUs does nothing here: QEMU is stopped when the VM is closed.
func dieWithUs() *syscall.SysProcAttr { return nil }

// nextData treats the rest of the file as data; blocks of zeros are left out anyway.
func nextData(_ *os.File, at, size int64) (start, end int64, err error) { return at, size, nil }

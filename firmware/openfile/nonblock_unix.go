//go:build unix

package openfile

import "syscall"

// nonblock has open(2) not wait for a pipe's other end or a modem.
const nonblock = syscall.O_NONBLOCK

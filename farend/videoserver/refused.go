//go:build !windows

package videoserver

import "syscall"

const connectionRefused = syscall.ECONNREFUSED

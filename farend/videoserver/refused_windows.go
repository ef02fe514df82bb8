package videoserver

import "syscall"

// connectionRefused is WSAECONNREFUSED: syscall.ECONNREFUSED is a number that Windows never gives.
const connectionRefused = syscall.Errno(10061)

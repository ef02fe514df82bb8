// Whether the clock is right, as far as the kernel knows. Source: adjtimex(2).

package machine

import "golang.org/x/sys/unix"

// ClockIsSet says whether a time server set this machine's clock since it started: whoever keeps
// the clock clears the kernel's STA_UNSYNC. Reading needs no right, and RefuseCalls
// leaves it.
func ClockIsSet() bool {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	return err == nil && state != unix.TIME_ERROR
}

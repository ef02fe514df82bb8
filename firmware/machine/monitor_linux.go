// How often Go's own monitor thread wakes while a picture is encoded.

package machine

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// monitorTimerSlack is how late the kernel may wake the monitor, in nanoseconds.
//
// While any goroutine runs, the monitor wakes every 20 us, 50 times in a row, before it sleeps
// longer (sysmon in runtime/proc.go). A C call of some milliseconds is such a time. Measured at
// a camera's pace (amd64, pattern 640x480 at 30 fps, busy machine, six runs of 60 s each, by
// turns): a picture takes 2.52 ms of CPU with this slack and 2.75 ms without, 8 % less. The
// monitor itself takes 0.13 instead of 0.27 ms and wakes 6 instead of 14 times for a picture.
// The price: on a single core that is encoding, another goroutine may wait a millisecond.
const monitorTimerSlack = 1_000_000

// CalmMonitor makes the kernel wake Go's monitor thread less often, and no other thread:
// their timers stay exact. It takes root's rights (CAP_SYS_NICE).
func CalmMonitor() error {
	tid, err := findMonitorThread()
	if err != nil {
		return fmt.Errorf("calm the monitor thread: %w", err)
	}
	// proc(5): there is such a file for a thread, too, by its own number.
	path := fmt.Sprintf("/proc/%d/timerslack_ns", tid)
	if err := os.WriteFile(path, []byte(strconv.Itoa(monitorTimerSlack)), 0); err != nil {
		return fmt.Errorf("calm the monitor thread: %w", err)
	}
	return nil
}

// findMonitorThread returns the number of Go's monitor thread, which the runtime starts before
// any other: it is the lowest above that of the process.
func findMonitorThread() (tid int, err error) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err == nil && id > os.Getpid() && (tid == 0 || id < tid) {
			tid = id
		}
	}
	if tid == 0 {
		return 0, errors.New("no thread is younger than the process: the kernel's numbers began anew")
	}
	return tid, nil
}

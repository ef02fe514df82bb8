// How often Go's own monitor thread looks around while a picture is encoded.

package machine

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// monitorSlack is how late the monitor may wake. While any goroutine runs, it wakes each
// 20 us, 50 times running, before it sleeps longer (sysmon in runtime/proc.go), and a C
// call of some milliseconds is such a time at 30 pictures a second: about 3 % of
// camsource's CPU with a file, 8 % at a camera's pace (amd64, 640x480, busy; tried with
// 2 ms on every thread). A millisecond is what another goroutine may wait on a single
// core that is encoding.
const monitorSlack = 1_000_000 // ns

// CalmMonitor makes the kernel wake Go's monitor thread less often, and no other thread:
// their timers stay exact. It takes root's rights (CAP_SYS_NICE).
func CalmMonitor() error {
	tid, err := monitor()
	if err != nil {
		return fmt.Errorf("calm the monitor thread: %w", err)
	}
	// proc(5): also of a thread, by its own number.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", tid), []byte(strconv.Itoa(monitorSlack)), 0); err != nil {
		return fmt.Errorf("calm the monitor thread: %w", err)
	}
	return nil
}

// monitor is the number of Go's monitor thread: the runtime starts it before any other.
func monitor() (tid int, err error) {
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
		return 0, errors.New("there is none, or the kernel's numbers began anew")
	}
	return tid, nil
}

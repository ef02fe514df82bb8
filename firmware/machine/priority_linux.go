// Priority among processes: a picture is worth more than whatever else a board does.

package machine

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// BoardNiceness is camsource's on a board: with it, one busy process of niceness 0 on
// its core leaves it nine tenths (sched(7): weights of 9548 and 1024).
const BoardNiceness = -10

// Renice gives every thread of this process a niceness, -20 (first) to 19; threads
// that they start later inherit it. Less than now takes root's rights.
func Renice(niceness int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("renice: %w", err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			return fmt.Errorf("renice: thread %q: %w", task.Name(), err)
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, niceness); err != nil && !errors.Is(err, unix.ESRCH) { // ended meanwhile
			return fmt.Errorf("renice: thread %d to %d: %w", id, niceness, err)
		}
	}
	return nil
}

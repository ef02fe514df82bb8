// Priority among processes: a picture is more urgent than whatever else a board does.

package machine

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// BoardNiceness is camsource's on a board. Against one busy process of niceness 0 on the same
// core it gets nine tenths of the time (sched(7): weights of 9548 and 1024).
const BoardNiceness = -10

// Renice gives every thread of this process a niceness from -20 (most urgent) to 19. Threads
// that they start later inherit it. To lower the niceness takes root's rights.
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
		err = unix.Setpriority(unix.PRIO_PROCESS, id, niceness)
		if err != nil && !errors.Is(err, unix.ESRCH) { // ESRCH: the thread has ended meanwhile
			return fmt.Errorf("renice: thread %d to %d: %w", id, niceness, err)
		}
	}
	return nil
}

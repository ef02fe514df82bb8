package machine

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// timerSlack of a thread, as the kernel prints it.
func timerSlack(t *testing.T, tid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", tid))
	if err != nil {
		t.Skipf("needs root: %v", err)
	}
	return strings.TrimSpace(string(b))
}

// Under qemu-user the first thread is the emulator's own.
func TestOnlyTheMonitorThreadOfTheProcessIsCalmed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: run with sudo")
	}
	tid, err := findMonitorThread()
	if err != nil {
		t.Fatal(err)
	}
	before := timerSlack(t, tid)
	if err := CalmMonitor(); err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", tid), []byte(before), 0)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		var id int
		fmt.Sscan(task.Name(), &id)
		want := before
		if id == tid {
			want = fmt.Sprint(monitorTimerSlack)
		}
		if _, err := os.Stat("/proc/self/task/" + task.Name()); err == nil && timerSlack(t, id) != want {
			t.Errorf("thread %d: slack %s ns, want %s", id, timerSlack(t, id), want)
		}
	}
	checkIsMonitor(t, tid)
}

// checkIsMonitor looks whether it is the thread that keeps waking while this one works.
func checkIsMonitor(t *testing.T, tid int) {
	t.Helper()
	switches := func() (n int) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", tid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "\nvoluntary_ctxt_switches:")
		fmt.Sscan(rest, &n)
		return n
	}
	// It sleeps for at most 10 ms at a time. No other thread wakes so often in any stretch.
	woke := 0
	for try := 0; try < 10 && woke < 5; try++ {
		before := switches()
		for begin := time.Now(); time.Since(begin) < 100*time.Millisecond; { // works
		}
		woke = switches() - before
	}
	if woke < 5 {
		t.Errorf("thread %d woke %d times in 100 ms of work: it is not the monitor", tid, woke)
	}
}

//go:build vm

// Process 1 of the VM that vmrun_test.go boots: this test binary.

package v4l2

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMain sets up what tests need on a kernel without any other program. The kernel passes its
// parameter KRAZYCAM_VM_TESTS on as an environment variable.
func TestMain(m *testing.M) {
	flag.Parse()
	err := prepareGuest()
	code := 1
	if err == nil {
		err = errors.Join(flag.Set("test.run", os.Getenv("KRAZYCAM_VM_TESTS")), flag.Set("test.v", "true"))
		code = m.Run()
	}
	fmt.Printf("\nguest: exit %d, %v\n", code, err)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // qemu -no-reboot ends
}

func prepareGuest() error {
	for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := os.MkdirAll(m[1], 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	order, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(order)) {
		f, err := os.Open(filepath.Join("/modules", name))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

func mustOpen(t *testing.T, r Request) *Camera {
	t.Helper()
	c, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		t.Logf("%v: %+v", c, c.Counters())
	})
	return c
}

func ignore(Buffer) error { return nil }

// figure prints what a fault did, for scripts/test to collect: the driver, the machine, and our
// counters.
func figure(t *testing.T, driver, format string, args ...any) {
	t.Helper()
	t.Logf("FIGURE %s, Linux on %s: %s", driver, runtime.GOARCH, fmt.Sprintf(format, args...))
}

// describeCounters lists the counters that are not 0: "delivered 12, truncated 9".
func describeCounters(c Counters) string {
	var words []string
	for v, i := reflect.ValueOf(c), 0; i < v.NumField(); i++ {
		if n := v.Field(i).Uint(); n > 0 {
			words = append(words, fmt.Sprintf("%s %d", strings.ToLower(v.Type().Field(i).Name), n))
		}
	}
	return cmp.Or(strings.Join(words, ", "), "nothing delivered")
}

// mapped says whether b lies in the driver's own memory.
func mapped(b []byte) bool {
	maps, _ := os.ReadFile("/proc/self/maps")
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x", &from, &to); n == 2 && from <= at && at < to {
			return strings.Contains(line, "/dev/video")
		}
	}
	return false
}

// heldResources counts the resources that a process must give back.
type heldResources struct {
	descriptors, mappings, goroutines int
	heap                              uint64 // bytes, after a collection
}

// countResources counts those of this process.
func countResources() heldResources {
	fds, _ := os.ReadDir("/proc/self/fd")
	maps, _ := os.ReadFile("/proc/self/maps")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return heldResources{len(fds), strings.Count(string(maps), "/dev/video"), runtime.NumGoroutine(), m.HeapAlloc}
}

// mustHoldNoMoreThan fails the test if this process holds more than before.
func mustHoldNoMoreThan(t *testing.T, before heldResources) {
	t.Helper()
	const slack = 64 << 10 // bytes: what the log of a test keeps; a driver's buffer is larger
	now := countResources()
	t.Logf("held before: %+v, now: %+v", before, now)
	if now.descriptors != before.descriptors || now.mappings != before.mappings ||
		now.goroutines != before.goroutines || now.heap > before.heap+slack {
		t.Errorf("held = %+v, want no more than %+v", now, before)
	}
}

// measureStall does not read a stream for 1.5 s, three times, and checks the age of the picture
// after each pause. An emulated machine on a busy host may stand still between time stamp and
// check, so the best of three counts; without the age rule all three are older than a second.
func measureStall(t *testing.T, c *Camera, driver string) {
	t.Helper()
	best := time.Hour
	for range 3 {
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		err := c.Next(5*time.Second, func(b Buffer) error {
			age := Now() - b.At
			best = min(best, age)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	figure(t, driver, "stall of 1.5 s: the next picture is %v old (best of 3; two intervals are %v); %s",
		best.Round(time.Microsecond), 2*c.Interval(), describeCounters(c.Counters()))
	if best > 2*c.Interval() {
		t.Errorf("age = %v, want at most two intervals of %v", best, c.Interval())
	}
}

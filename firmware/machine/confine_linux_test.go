package machine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// confinedTest has this test be the process whose calls are refused.
const confinedTest = "KRAZYCAM_CONFINED"

func TestProcessIsRefusedDangerousCallsOnEveryThread(t *testing.T) {
	if os.Getenv(confinedTest) == "" {
		cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), confinedTest+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "confined and well") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const threads = 8
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	complaints := make(chan error, threads)
	ready.Add(threads)
	for range threads { // threads that are there before
		done.Go(func() {
			runtime.LockOSThread()
			ready.Done()
			<-begin
			complaints <- tryRefused()
		})
	}
	ready.Wait()
	if err := errors.Join(LimitProcess(), RefuseCalls()); err != nil {
		t.Fatal(err)
	}
	close(begin)
	done.Wait()
	for range threads {
		if err := <-complaints; err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(checkTasks(), tryNeeded(t)); err != nil {
		t.Error(err)
	}
	fmt.Println("confined and well")
}

// tryRefused makes some of the calls; each must fail with EPERM.
func tryRefused() error {
	var errs []error
	want := func(what string, err error) {
		if err != unix.EPERM {
			errs = append(errs, fmt.Errorf("%s: %v, want EPERM", what, err))
		}
	}
	want("execve", unix.Exec("/bin/true", []string{"true"}, nil))
	want("unshare", unix.Unshare(unix.CLONE_NEWUSER))
	want("ptrace", unix.PtraceAttach(1))
	want("mount", unix.Mount("none", "/proc", "tmpfs", 0, ""))
	want("clock_settime", unix.ClockSettime(unix.CLOCK_REALTIME, &unix.Timespec{Sec: 1}))
	want("reboot", unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF))
	_, err := unix.PerfEventOpen(&unix.PerfEventAttr{}, 0, -1, -1, 0)
	want("perf_event_open", err)
	_, err = unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	want("keyctl", err)
	_, err = unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	want("a socket of the kernel's ciphers", err)
	_, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	want("a socket of raw packets", err)
	return errors.Join(errs...)
}

// checkTasks reads what the kernel says of each thread.
func checkTasks() error {
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	for _, task := range tasks {
		b, readErr := os.ReadFile(task)
		if s := string(b); readErr == nil &&
			!(strings.Contains(s, "NoNewPrivs:\t1") && strings.Contains(s, "Seccomp:\t2")) {
			err = errors.Join(err, fmt.Errorf("%s: no no_new_privs or no filter", task))
		}
	}
	var core unix.Rlimit
	return errors.Join(err, unix.Getrlimit(unix.RLIMIT_CORE, &core), func() error {
		if core.Max != 0 {
			return fmt.Errorf("core files of %d bytes", core.Max)
		}
		return nil
	}())
}

// tryNeeded does what a stream does: sockets of all kinds that it has, files, new threads, a look at
// the clock (ClockIsSet).
func tryNeeded(t *testing.T) error {
	_, err := unix.Adjtimex(&unix.Timex{})
	errs := []error{err}
	for _, network := range []string{"udp4", "tcp4"} {
		var c interface{ Close() error }
		var err error
		if network == "udp4" {
			c, err = net.ListenPacket(network, "127.0.0.1:0")
		} else {
			c, err = net.Listen(network, "127.0.0.1:0")
		}
		if errs = append(errs, err); err == nil {
			c.Close()
		}
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	errs = append(errs, err, unix.Close(fd), os.WriteFile(filepath.Join(t.TempDir(), "f"), []byte("x"), 0o600))
	_, err = net.LookupHost("localhost")
	errs = append(errs, err)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() { runtime.LockOSThread() }) // ends the thread
	}
	all.Wait()
	return errors.Join(errs...)
}

// Calls of the kernel that camsource never needs are refused once the camera is open: what comes in
// by USB and by network is parsed from then on. A list of what is forbidden, not of what is allowed:
// the latter depends on kernel, Go and C library, and a call that it forgets ends a stream that a
// new Go or libvpx made; these have no place in camsource whatever comes.
//
// Test: confine_linux_test.go, in a process of its own. Sources: seccomp(2),
// Documentation/userspace-api/seccomp_filter.rst, linux/seccomp.h.

package machine

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// limits are those of the process, which it cannot raise again once it is not root. A core file
// would hold the gateway's key. A stream has about 20 descriptors; half of them are Go's and the
// kernel's. Processes are not limited: the count is the user's, not the program's, and execve is
// refused.
func limits() map[int]uint64 {
	return map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: 256}
}

// LimitProcess sets the limits of the process, as far as they are lower than what it has.
func LimitProcess() error {
	var errs []error
	for what, most := range limits() {
		var now unix.Rlimit
		err := unix.Getrlimit(what, &now)
		if err == nil {
			most = min(most, now.Max)
			err = unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("limit %d to %d: %w", what, most, err))
		}
	}
	return errors.Join(errs...)
}

// forbidden are calls to run other programs, look into other processes, change the machine, or
// reach parts of the kernel that had many holes and that nothing here uses. adjtimex is not among
// them: ClockIsSet reads with it, and to set the clock by it takes CAP_SYS_TIME.
func forbidden() []uint32 {
	return append(forbiddenHere(),
		unix.SYS_EXECVE, unix.SYS_EXECVEAT,
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP,
		unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE,
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_MOUNT, unix.SYS_UMOUNT2,
		unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT,
		unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL,
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD,
		unix.SYS_REBOOT, unix.SYS_ACCT, unix.SYS_SYSLOG, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY,
		unix.SYS_REQUEST_KEY, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_FANOTIFY_INIT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_LOOKUP_DCOOKIE,
		unix.SYS_PERSONALITY, unix.SYS_MKNODAT,
	)
}

// families are the sockets that camsource opens: those of RTP, the gateway and DNS, and the
// kernel's news about the network.
func families() []uint32 { return []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK} }

// Places in struct seccomp_data. The first argument's low half comes first: all boards and PCs that
// there are builds for are little-endian.
const (
	seccompCall     = 0
	seccompABI      = 4
	seccompArgument = 16
)

// A refused call gives EPERM, as if root's rights lacked.
const (
	refuseCall = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	allowCall  = unix.SECCOMP_RET_ALLOW
)

// callFilter is the program that the kernel runs for each call. A call by another ABI than that of
// this program, such as the 32-bit one, would have other numbers: it is refused.
func callFilter() []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	end := func(with uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: with} }
	// unless skips one instruction where the value is another.
	unless := func(code uint16, k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | code | unix.BPF_K, Jf: 1, K: k}
	}
	program := []unix.SockFilter{
		load(seccompABI), {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: auditArch}, end(refuseCall),
		load(seccompCall), unless(unix.BPF_JGE, firstForeignCall), end(refuseCall),
	}
	for _, call := range forbidden() {
		program = append(program, unless(unix.BPF_JEQ, call), end(refuseCall))
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.SYS_SOCKET}, end(allowCall),
		load(seccompArgument))
	for _, family := range families() {
		program = append(program, unless(unix.BPF_JEQ, family), end(allowCall))
	}
	return append(program, end(refuseCall))
}

// RefuseCalls has the kernel refuse the forbidden calls of all threads, for good. It sets
// no_new_privs, too, without which only root may do this.
func RefuseCalls() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	filter := callFilter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if thread != 0 { // TSYNC names the first thread that has another filter
		return fmt.Errorf("seccomp: thread %d has a filter of its own", thread)
	}
	return nil
}

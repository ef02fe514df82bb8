//go:build linux

package machine

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// decide runs a filter on a call as the kernel would: the few instructions that callFilter uses.
func decide(t *testing.T, program []unix.SockFilter, abi, call, argument uint32) uint32 {
	t.Helper()
	data := map[uint32]uint32{seccompCall: call, seccompABI: abi, seccompArgument: argument}
	var a uint32
	for at := 0; at < len(program); at++ {
		i := program[at]
		is := false
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = data[i.K]
			continue
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			is = a == i.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			is = a >= i.K
		default:
			t.Fatalf("instruction %d: code %#x", at, i.Code)
		}
		if is {
			at += int(i.Jt)
		} else {
			at += int(i.Jf)
		}
	}
	t.Fatal("the filter has no end")
	return 0
}

func TestCallFilterRefusesWhatIsForbiddenAndNothingElse(t *testing.T) {
	program := callFilter()
	if len(program) > 4096 {
		t.Fatalf("%d instructions, the kernel takes 4096", len(program))
	}
	for call := range uint32(600) {
		want := uint32(allowCall)
		if slices.Contains(forbidden(), call) {
			want = refuseCall
		}
		if got := decide(t, program, auditArch, call, unix.AF_INET); got != want {
			t.Errorf("call %d: %#x, want %#x", call, got, want)
		}
		if got := decide(t, program, auditArch^1, call, unix.AF_INET); got != refuseCall {
			t.Errorf("call %d by another ABI: %#x", call, got)
		}
	}
	for family := range uint32(50) {
		want := uint32(refuseCall)
		if slices.Contains(families(), family) {
			want = allowCall
		}
		if got := decide(t, program, auditArch, unix.SYS_SOCKET, family); got != want {
			t.Errorf("socket of family %d: %#x, want %#x", family, got, want)
		}
	}
	// What a stream lives of, by name: a number that is wrong would be among the forbidden.
	for _, call := range []uint32{unix.SYS_READ, unix.SYS_WRITE, unix.SYS_IOCTL, unix.SYS_MUNMAP, unix.SYS_FUTEX,
		unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_OPENAT, unix.SYS_FSYNC,
		unix.SYS_RENAMEAT, unix.SYS_PRCTL, unix.SYS_EXIT_GROUP, unix.SYS_RT_SIGACTION, unix.SYS_GETRANDOM} {
		if slices.Contains(forbidden(), call) {
			t.Errorf("call %d is forbidden", call)
		}
	}
}

package machine

import "golang.org/x/sys/unix"

const (
	auditArch        = unix.AUDIT_ARCH_ARM
	firstForeignCall = 0xffffffff // ARM's private calls, among them set_tls, are above 0xf0000
)

func forbiddenHere() []uint32 {
	return []uint32{unix.SYS_MKNOD, unix.SYS_USELIB, unix.SYS_USTAT, unix.SYS_SYSFS, unix.SYS_VHANGUP,
		unix.SYS_CLOCK_SETTIME64}
}

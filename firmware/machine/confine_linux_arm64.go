package machine

import "golang.org/x/sys/unix"

const (
	auditArch        = unix.AUDIT_ARCH_AARCH64
	firstForeignCall = 0xffffffff // there is one ABI
)

func forbiddenHere() []uint32 { return []uint32{unix.SYS_KEXEC_FILE_LOAD, unix.SYS_VHANGUP} }

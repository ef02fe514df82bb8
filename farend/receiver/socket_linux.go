// What Linux alone offers: a receive buffer beyond the limit for others, and the count of packets that
// it dropped. Spec: socket(7), sock_diag(7) (SK_MEMINFO_DROPS).

package receiver

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setReadBuffer makes the buffer as large as the system allows: root needs no leave (SO_RCVBUFFORCE).
func setReadBuffer(c *net.UDPConn, size int) {
	forced := false
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) == nil
		})
	}
	if !forced {
		_ = c.SetReadBuffer(size)
	}
}

// meminfoDrops is the place of the drops in SO_MEMINFO's numbers (linux/sock_diag.h).
const meminfoDrops = 8

// kernelDrops counts what came to a socket whose buffer was full.
func kernelDrops(c *net.UDPConn) (drops uint64) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		var info [meminfoDrops + 1]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && size == uint32(unsafe.Sizeof(info)) {
			drops = uint64(info[meminfoDrops])
		}
	})
	return drops
}

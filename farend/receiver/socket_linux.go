// What Linux alone offers: a receive buffer beyond the limit for others, and the count of packets that
// it dropped. Spec: socket(7), sock_diag(7) (SK_MEMINFO_DROPS).

package receiver

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufferAdvice is for a buffer that is too small. The kernel gives twice of what it lets a program ask for: the
// advice leaves room for more streams.
const bufferAdvice = "allow a larger receive buffer, sysctl net.core.rmem_max=%d"

// setReadBuffer makes the buffer as large as the system allows: CAP_NET_ADMIN needs no leave (SO_RCVBUFFORCE).
// Without it the kernel takes any size, and gives what net.core.rmem_max allows: what it gave is read back.
func setReadBuffer(c *net.UDPConn, size int) (given int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
			halveUntilTaken(size, func(size int) error {
				return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
			})
		}
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			given = n
		}
	})
	return given
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

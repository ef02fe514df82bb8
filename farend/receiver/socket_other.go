//go:build !linux

// Other systems say nothing of what they drop.

package receiver

import "net"

// bufferAdvice is for a buffer that is too small.
const bufferAdvice = "allow a receive buffer of %d bytes (macOS: sysctl kern.ipc.maxsockbuf)"

// setReadBuffer makes the buffer as large as the system allows: macOS refuses what is beyond
// kern.ipc.maxsockbuf.
func setReadBuffer(c *net.UDPConn, size int) (given int) {
	return halveUntilTaken(size, c.SetReadBuffer)
}

func kernelDrops(*net.UDPConn) uint64 { return 0 }

//go:build !linux

package receiver

import (
	"net"
	"time"
)

// readMany reads a port for many streams until it is closed.
func readMany(c *net.UDPConn, _ time.Duration, now func() time.Time, take handler) error {
	return readSocket(udpSocket{UDPConn: c}, now, take)
}

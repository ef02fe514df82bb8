// Package udp is a stream's way to the network: a socket for RTP, one for RTCP, or one for
// both (rtcp-mux), and one for echo requests to the receiver's host; what the kernel's errors
// mean; and how large a packet may be on the path.
//
// It stands below rtpsend, which decides what is sent and when. It owns file descriptors and no
// goroutine. Sizes are bytes, times are CLOCK_MONOTONIC. Linux only.
//
// Sources: udp(7), ip(7) and icmp(7); RFC 5761 (rtcp-mux), RFC 4594 section 4.3 (DSCP),
// RFC 1191 and RFC 8201 (path MTU), RFC 792 and RFC 4443 section 4 (echo).
package udp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"
)

// A Config says where to.
type Config struct {
	RTP, RTCP     netip.AddrPort // the receiver's; both IPv4 or both IPv6; equal: rtcp-mux
	LocalRTCPPort int            // 0: any free one
	Queue         int            // bytes of RTP that may wait in this machine; 0: as many as the kernel likes
	Log           *slog.Logger
}

// An RTCPConn sends and receives RTCP. Receive waits at most wait, then fails with
// os.ErrDeadlineExceeded, and fails with net.ErrClosed after Close. Receive belongs to one
// goroutine, and all other methods may be called from any.
type RTCPConn interface {
	Send(packet []byte) error
	Receive(b []byte, wait time.Duration) (n int, from netip.AddrPort, err error)
	LocalPort() int
	Close() error
}

// Open connects the RTP socket, so that the kernel reports when nobody listens and drops what
// others send to it. The RTCP socket stays open to any port of the receiver: GStreamer answers
// from another one than it listens on.
func Open(cfg Config) (*RTPConn, RTCPConn, error) {
	mux := cfg.RTP == cfg.RTCP
	rtp, err := dialRTP(network(cfg.RTP.Addr()), cfg.RTP, mux, cfg.Queue)
	if err != nil {
		return nil, nil, err
	}
	if mux {
		return rtp, &muxConn{rtp: rtp}, nil
	}
	rtcp, err := listenRTCP(cfg)
	if err != nil {
		err = fmt.Errorf("open RTCP socket on port %d: %w", cfg.LocalRTCPPort, err)
		return nil, nil, errors.Join(err, rtp.Close())
	}
	return rtp, rtcp, nil
}

// network is Go's name of the IP version of an address.
func network(a netip.Addr) string {
	if a.Is4() {
		return "udp4"
	}
	return "udp6"
}

// closedAs gives the end of a file the name that the end of a connection has.
func closedAs(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

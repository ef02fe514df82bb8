// The two UDP sockets of a stream, and what the kernel's errors mean.
// Owns file descriptors only. Linux.

package rtpsend

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// A media connection takes RTP packets; *udpMedia is one. Renew is called at most once a
// second while packets do not leave for want of a route.
type mediaConn interface {
	Write(packet []byte) (int, error)
	MTU() int // bytes of an IP packet on the path, as far as the kernel knows; 0: not known
	Renew() error
	Close() error
}

// A reportConn sends and receives RTCP. Receive waits at most wait, then fails with
// os.ErrDeadlineExceeded, and fails with net.ErrClosed after Close: the only timer of
// this package is in there, so a fake one replays an hour at once.
type reportConn interface {
	Send(packet []byte) error
	Receive(b []byte, wait time.Duration) (n int, from netip.AddrPort, err error)
	LocalPort() int
	Close() error
}

// af41 marks packets as interactive video, discard low: class 34 in the upper six
// bits of the traffic class (RFC 4594 section 4.3). Wi-Fi queues it as video.
const af41 = 34 << 2

// openSockets connects the RTP socket, so that the kernel tells when nobody listens
// and drops what others send to it. The RTCP socket stays open to any port of the
// receiver: GStreamer answers from another one than it listens on.
func openSockets(cfg *Config) (mediaConn, reportConn, error) {
	network, local := "udp6", netip.IPv6Unspecified()
	if cfg.RTP.Addr().Is4() {
		network, local = "udp4", netip.IPv4Unspecified()
	}
	media, err := dialMedia(network, cfg.RTP, cfg.mux(), cfg.queue())
	if err != nil {
		return nil, nil, err
	}
	if cfg.mux() {
		return media, &muxReports{media: media}, nil
	}
	at := netip.AddrPortFrom(local, uint16(cfg.LocalRTCPPort))
	reports, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open RTCP socket on port %d: %w", cfg.LocalRTCPPort, err), media.Close())
	}
	raw, err := reports.SyscallConn()
	if err == nil {
		err = mark(raw, network)
	}
	if err != nil { // a courtesy to the network, not a condition
		cfg.Log.Debug("packets carry no DSCP mark", "err", err)
	}
	return media, &udpReports{conn: reports, to: cfg.RTCP}, nil
}

func mark(raw syscall.RawConn, network string) error {
	if network == "udp4" {
		return setOption(raw, syscall.IPPROTO_IP, syscall.IP_TOS, af41)
	}
	return setOption(raw, syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, af41)
}

func setOption(raw syscall.RawConn, level, option, value int) error {
	var setErr error
	if err := raw.Control(func(fd uintptr) {
		setErr = syscall.SetsockoptInt(int(fd), level, option, value)
	}); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt", setErr)
}

// udpReports is the reportConn of a real network.
type udpReports struct {
	conn *net.UDPConn
	to   netip.AddrPort
}

// reportRoom is how long a report waits for room in the kernel's queue: on a link that
// has stalled it is lost, or BYE would wait for the link.
const reportRoom = 50 * time.Millisecond

func (u *udpReports) Send(packet []byte) error {
	if err := u.conn.SetWriteDeadline(time.Now().Add(reportRoom)); err != nil {
		return err
	}
	_, err := u.conn.WriteToUDPAddrPort(packet, u.to)
	return err
}

func (u *udpReports) Receive(b []byte, wait time.Duration) (int, netip.AddrPort, error) {
	// Go keeps deadlines on its monotonic clock: setting the time of day moves none.
	if err := u.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, netip.AddrPort{}, err
	}
	return u.conn.ReadFromUDPAddrPort(b)
}

func (u *udpReports) LocalPort() int {
	return u.conn.LocalAddr().(*net.UDPAddr).Port
}

func (u *udpReports) Close() error { return u.conn.Close() }

// SendErrors counts packets that the kernel did not take, by cause. None of them ends
// a stream: receivers restart, and links go and come.
type SendErrors struct {
	Refused     uint64 // the receiver's host says that nobody listens (ICMP port unreachable)
	Unreachable uint64 // no route, no link, no neighbour
	TooLarge    uint64 // for the path: later packets are smaller
	Other       uint64 // a full queue, a firewall
}

func (e *SendErrors) add(more SendErrors) {
	e.Refused += more.Refused
	e.Unreachable += more.Unreachable
	e.TooLarge += more.TooLarge
	e.Other += more.Other
}

func (e *SendErrors) count(err error) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Refused++
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETDOWN):
		e.Unreachable++
	case errors.Is(err, syscall.EMSGSIZE):
		e.TooLarge++
	default:
		e.Other++
	}
}

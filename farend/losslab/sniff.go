//go:build linux

// A sniffer: every packet that passes one end of the link, with the kernel's time stamp. Owns one
// packet socket and one goroutine.

package losslab

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A sniffer records the UDP packets that go through a device.
type sniffer struct {
	fd      int
	quit    atomic.Bool
	ended   sync.WaitGroup
	packets []Packet
	err     error
}

// startSniffer records in the caller's namespace (see inNamespace).
func startSniffer(device string) (*sniffer, error) {
	i, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	// In network order; with ETH_P_IP the socket would not see outgoing packets.
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(100 * time.Millisecond))
	for _, set := range []func() error{
		func() error { return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: i.Index}) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20) },
		func() error { return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout) },
	} {
		if err := set(); err != nil {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("packet socket on %s: %w", device, err)
		}
	}
	s := &sniffer{fd: fd}
	s.ended.Add(1)
	go s.recordPackets()
	return s, nil
}

func (s *sniffer) recordPackets() {
	defer s.ended.Done()
	b, control := make([]byte, 1<<16), make([]byte, 256)
	for !s.quit.Load() {
		n, controls, _, from, err := unix.Recvmsg(s.fd, b, control, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue
		}
		if err != nil {
			s.err = fmt.Errorf("packet socket: %w", err)
			return
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok {
			continue
		}
		if p, ok := parseIP(b[:n]); ok {
			p.Out = link.Pkttype == unix.PACKET_OUTGOING
			p.At = kernelTimeOf(control[:controls])
			p.Payload = append([]byte(nil), p.Payload...)
			s.packets = append(s.packets, p)
		}
	}
}

// kernelTimeOf finds the time stamp among the control messages of a packet; without one it is now.
func kernelTimeOf(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS &&
			len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			at := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(at.Unix())
		}
	}
	return time.Now()
}

// stopRecording ends the recording and returns it.
func (s *sniffer) stopRecording() ([]Packet, error) {
	s.quit.Store(true)
	s.ended.Wait()
	return s.packets, s.err
}

func (s *sniffer) closeSocket() error { return unix.Close(s.fd) }

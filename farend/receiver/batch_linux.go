// Reading many datagrams at a time. A busy port wakes its reader at most every few milliseconds, whatever the
// number of streams, and takes all that came in one system call; when each came the kernel says.
// Spec: recvmmsg(2), socket(7) (SO_TIMESTAMPNS).

package receiver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchMax datagrams are read at a time: a flood of 50,000/s in a millisecond.
	batchMax = 64

	// stampAgeMax: a datagram that waited longer was not stamped by the clock of now.
	stampAgeMax = 2 * time.Second

	addressSize = unix.SizeofSockaddrInet6
)

var controlSize = unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{})))

// A message is struct mmsghdr.
type message struct {
	header unix.Msghdr
	size   uint32
}

// A batch is memory for datagrams, which the kernel writes into.
type batch struct {
	messages  [batchMax]message
	vectors   [batchMax]unix.Iovec
	addresses [batchMax][addressSize]byte
	controls  []byte
	data      []byte

	count int // read
	errno unix.Errno
}

func newBatch() *batch {
	b := &batch{data: make([]byte, batchMax*datagramMax), controls: make([]byte, batchMax*controlSize)}
	for i := range b.messages {
		h := &b.messages[i].header
		b.vectors[i].Base = &b.data[i*datagramMax]
		b.vectors[i].SetLen(datagramMax)
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Name = &b.addresses[i][0]
		h.Control = &b.controls[i*controlSize]
	}
	return b
}

// read implements what syscall.RawConn's Read wants: false waits until something came.
func (b *batch) read(fd uintptr) bool {
	for i := range b.messages { // the kernel writes how long they are
		b.messages[i].header.Namelen = addressSize
		b.messages[i].header.SetControllen(controlSize)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.messages[0])), batchMax,
		unix.MSG_DONTWAIT, 0, 0)
	b.count, b.errno = int(n), errno
	if errno != 0 {
		b.count = 0
	}
	return errno != unix.EAGAIN && errno != unix.EINTR
}

// datagram gives one that was read.
func (b *batch) datagram(i int) (data []byte, from netip.AddrPort, stamp time.Time) {
	m := &b.messages[i]
	data = b.data[i*datagramMax:][:m.size]
	return data, addressOf(&b.addresses[i]), stampOf(b.controls[i*controlSize:][:m.header.Controllen])
}

// addressOf reads a struct sockaddr.
func addressOf(a *[addressSize]byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(a[2:])
	switch binary.NativeEndian.Uint16(a[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), port)
	case unix.AF_INET6:
		address := netip.AddrFrom16([16]byte(a[8:24]))
		if scope := binary.NativeEndian.Uint32(a[24:]); scope != 0 {
			address = address.WithZone(strconv.Itoa(int(scope)))
		}
		return netip.AddrPortFrom(address, port)
	}
	return netip.AddrPort{}
}

// stampOf reads when a datagram came; zero: the kernel does not say.
func stampOf(control []byte) time.Time {
	if len(control) < controlSize {
		return time.Time{}
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_TIMESTAMPNS {
		return time.Time{}
	}
	return time.Unix((*unix.Timespec)(unsafe.Pointer(&control[unix.CmsgLen(0)])).Unix())
}

// readMany reads a port for many streams until it is closed, at most every pause.
func readMany(c *net.UDPConn, pause time.Duration, now func() time.Time, take handler) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	_ = raw.Control(func(fd uintptr) { // without stamps, packets came when they were read
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	})
	b := newBatch()
	read := b.read // once: a method value is an allocation
	for failures := 0; ; {
		err := raw.Read(read)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil || b.errno != 0:
			if failures++; failures > readFailuresMax {
				return fmt.Errorf("receiver: port %d: %w", portOf(c.LocalAddr()), errors.Join(err, b.errno))
			}
			continue
		}
		failures = 0
		b.handOn(now(), take)
		if b.count < batchMax {
			time.Sleep(pause)
		}
	}
}

// handOn gives each datagram to take, with the time when it came.
func (b *batch) handOn(now time.Time, take handler) {
	wall := time.Now()
	for i := range b.count {
		data, from, stamp := b.datagram(i)
		at := now
		if age := wall.Sub(stamp); !stamp.IsZero() && age > 0 && age < stampAgeMax {
			at = now.Add(-age)
		}
		take(data, from, at)
	}
}

// The rig's measuring post on the way of a stream: counts RTP and hands each packet on to
// the receiver and to decoders that nobody here wrote.

package rig

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// rtpCount is what the sequence numbers, markers and time stamps of a stream say.
type rtpCount struct {
	packets, bytes int
	lost           int // numbers that are missing below the highest one seen
	frames         int // packets with a marker
	first          time.Time
	begun          bool
	highest        uint16
	ssrc           uint32
}

// add counts one packet; what is no RTP of the stream is not counted.
func (c *rtpCount) add(b []byte, now time.Time) {
	if len(b) < 12 || b[0]>>6 != 2 {
		return
	}
	seq, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[8:])
	switch step := int16(seq - c.highest); {
	case !c.begun || ssrc != c.ssrc: // a new stream
		if !c.begun {
			c.first = now
		}
		c.begun, c.ssrc, c.highest = true, ssrc, seq
	case step > 0:
		c.lost += int(step) - 1
		c.highest = seq
	default:
		c.lost-- // late, or a resend of one that was counted as lost
	}
	c.packets++
	c.bytes += len(b)
	if b[1]&0x80 != 0 {
		c.frames++
	}
}

// A tap is the receiver's RTP socket: what the receiver reads is counted and goes to the
// decoders too.
type tap struct {
	net.PacketConn
	out *net.UDPConn
	to  []netip.AddrPort

	mu    sync.Mutex
	count rtpCount
	last  time.Time     // when the latest packet came
	gap   time.Duration // the longest time between two since forgetGap
}

// newTap listens on a free port of the loopback. Its owner reads and closes it.
func newTap(t *testing.T, to ...netip.AddrPort) *tap {
	t.Helper()
	in, out := listenUDP(t), listenUDP(t)
	// A key frame of 40 packets at once must not overflow it.
	if err := in.SetReadBuffer(1 << 20); err != nil {
		t.Fatal(err)
	}
	return &tap{PacketConn: in, out: out, to: to}
}

func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ReadFrom implements net.PacketConn.
func (x *tap) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := x.PacketConn.ReadFrom(b)
	if err != nil {
		return n, from, err
	}
	x.mu.Lock()
	now := time.Now()
	x.count.add(b[:n], now)
	x.gap, x.last = max(x.gap, now.Sub(x.last)), now
	x.mu.Unlock()
	for _, to := range x.to {
		_, _ = x.out.WriteToUDPAddrPort(b[:n], to) // a decoder that is gone is found out by its pictures
	}
	return n, from, nil
}

func (x *tap) counted() rtpCount {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.count
}

// forgetGap begins to look for the longest gap anew, from now on.
func (x *tap) forgetGap() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gap, x.last = 0, time.Now()
}

// longestGap is the longest time without a packet, the present one included.
func (x *tap) longestGap() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	return max(x.gap, time.Since(x.last))
}

// freePort is a UDP port of the loopback that was free just now, as was the one behind it,
// which ffmpeg takes for RTCP.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	for range 100 {
		first, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		at := first.LocalAddr().(*net.UDPAddr)
		second, err := net.ListenUDP("udp4", &net.UDPAddr{IP: at.IP, Port: at.Port + 1})
		first.Close()
		if err == nil {
			second.Close()
			return at.AddrPort()
		}
	}
	t.Fatal("no two free ports in a row")
	return netip.AddrPort{}
}

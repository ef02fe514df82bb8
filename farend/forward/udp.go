// A link of two UDP sockets: RTP out, RTCP both ways.

package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/forward/packet"
)

const (
	// lookupLimit is how long a look-up of a name may take.
	lookupLimit = 5 * time.Second

	// readPause is after an error of a socket that is not closed.
	readPause = 20 * time.Millisecond
)

// An udpLink sends to one host. The RTP socket is connected, so that the kernel says when nobody
// listens there; the RTCP socket is not, for answers may come from another port of that host.
type udpLink struct {
	rtp, rtcp *net.UDPConn
	out, side *sender // of the two
	host      netip.Addr
	reader    sync.WaitGroup
}

// errBufferFull is about a datagram for which the socket's send buffer has no room: the network is slower
// than the stream.
var errBufferFull = errors.New("the send buffer is full: the network here does not follow")

// openUDP opens a link and reads RTCP into a sink until it is closed. local is the even port here; 0: any.
func openUDP(s *sink, host netip.Addr, rtpPort, rtcpPort, local int) (*udpLink, error) {
	from := &net.UDPAddr{Port: local}
	rtp, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, uint16(rtpPort))))
	if err != nil {
		return nil, fmt.Errorf("open a socket for RTP: %w", err)
	}
	own := *rtp.LocalAddr().(*net.UDPAddr)
	own.Port = 0
	if local != 0 {
		own.Port = local + 1
	}
	rtcp, err := net.ListenUDP("udp", &own)
	if err != nil {
		rtp.Close()
		return nil, fmt.Errorf("open a socket for RTCP: %w", err)
	}
	l := &udpLink{rtp: rtp, rtcp: rtcp, host: host.Unmap()}
	if l.out, err = newSender(rtp); err == nil {
		l.side, err = newSenderBeside(rtcp, rtp, rtcpPort)
	}
	if err != nil {
		rtp.Close()
		rtcp.Close()
		return nil, fmt.Errorf("open sockets: %w", err)
	}
	l.reader.Go(func() { l.read(s) })
	return l, nil
}

func (l *udpLink) send(packet []byte) error   { return l.out.send(packet) }
func (l *udpLink) report(packet []byte) error { return l.side.send(packet) }

func (l *udpLink) close() {
	l.rtp.Close()
	l.rtcp.Close()
	l.reader.Wait()
}

// read takes what the host says. Nothing else that comes to the port is read.
func (l *udpLink) read(s *sink) {
	b := make([]byte, packet.Room)
	for {
		n, from, err := l.rtcp.ReadFromUDPAddrPort(b)
		switch {
		case err != nil && s.ctx.Err() == nil && !errors.Is(err, net.ErrClosed):
			time.Sleep(readPause) // such as Windows' word for a port where nobody listens
		case err != nil:
			return
		case from.Addr().Unmap() != l.host:
			s.mu.Lock()
			s.counts.Strangers++
			s.mu.Unlock()
		default:
			s.takeDatagram(b[:n], s.forwarder.config.Now())
		}
	}
}

// lookUp finds the addresses of a host, those of IPv4 first: what receivers listen to by default.
func (f *Forwarder) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	all, err := f.config.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	var four, six []netip.Addr
	for _, a := range all {
		if a = a.Unmap(); a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("look up %s: it has no address", host)
	}
	return append(four, six...), nil
}

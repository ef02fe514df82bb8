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
	rtcpTo    netip.AddrPort
	reader    sync.WaitGroup
}

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
	l := &udpLink{rtp: rtp, rtcp: rtcp, rtcpTo: netip.AddrPortFrom(host, uint16(rtcpPort))}
	l.reader.Go(func() { l.read(s) })
	return l, nil
}

func (l *udpLink) send(packet []byte) error {
	_, err := l.rtp.Write(packet)
	return err
}

func (l *udpLink) report(packet []byte) error {
	_, err := l.rtcp.WriteToUDPAddrPort(packet, l.rtcpTo)
	return err
}

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
		case from.Addr().Unmap() != l.rtcpTo.Addr().Unmap():
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

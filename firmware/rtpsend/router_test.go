// Paths with a narrow second hop behind a router, as VPNs, PPPoE and mobile networks make them, with
// ICMP passed and dropped: how many pictures come out.

package rtpsend

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// A routedPath has a router between sender and receiver. The second hop, vb, is the narrow one.
type routedPath struct {
	sender, router, receiver string // namespaces
	v4, v6                   netip.Addr
}

func newRoutedPath(t *testing.T) *routedPath {
	t.Helper()
	need.Tools(t, "ip", "nft")
	need.Root(t, "for network namespaces")
	id := os.Getpid()
	p := &routedPath{
		sender: fmt.Sprintf("kps-%d", id), router: fmt.Sprintf("kpm-%d", id), receiver: fmt.Sprintf("kpr-%d", id),
		v4: netip.MustParseAddr("10.78.0.2"), v6: netip.MustParseAddr("fd00:78::2"),
	}
	for _, space := range []string{p.sender, p.router, p.receiver} {
		run(t, exec.Command("ip", "netns", "add", space))
		t.Cleanup(func() { run(t, exec.Command("ip", "netns", "del", space)) })
	}
	at := func(space string, args ...string) {
		run(t, exec.Command("ip", append([]string{"-n", space}, args...)...))
	}
	at(p.sender, "link", "add", "va", "type", "veth", "peer", "name", "ma", "netns", p.router)
	at(p.receiver, "link", "add", "vb", "type", "veth", "peer", "name", "mb", "netns", p.router)
	for _, end := range [][3]string{
		{p.sender, "va", "77::1"}, {p.router, "ma", "77::9"}, {p.router, "mb", "78::9"}, {p.receiver, "vb", "78::2"},
	} {
		space, device := end[0], end[1]
		net, host := end[2][:2], end[2][4:]
		at(space, "addr", "add", "10."+net+".0."+host+"/24", "dev", device)
		at(space, "addr", "add", "fd00:"+net+"::"+host+"/64", "dev", device, "nodad")
		at(space, "link", "set", "dev", device, "up")
	}
	at(p.sender, "route", "add", "default", "via", "10.77.0.9")
	at(p.receiver, "route", "add", "default", "via", "10.78.0.9")
	at(p.sender, "-6", "route", "add", "default", "via", "fd00:77::9")
	at(p.receiver, "-6", "route", "add", "default", "via", "fd00:78::9")
	p.exec(t, p.router, "sh", "-c",
		"echo 1 > /proc/sys/net/ipv4/ip_forward && echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
	p.awaitNeighbours(t)
	return p
}

// awaitNeighbours sends until something arrives: until then the kernel keeps few packets for neighbours
// that it does not know yet.
func (p *routedPath) awaitNeighbours(t *testing.T) {
	t.Helper()
	for _, a := range []netip.Addr{p.v4, p.v6} {
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 5999))
		var in, out *net.UDPConn
		inSpace(t, p.receiver, func() (err error) { in, err = net.ListenUDP("udp", to); return err })
		inSpace(t, p.sender, func() (err error) { out, err = net.DialUDP("udp", nil, to); return err })
		err := error(os.ErrDeadlineExceeded)
		for i := 0; i < 300 && err != nil; i++ {
			_, _ = out.Write([]byte{1})
			_ = in.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			_, err = in.Read(make([]byte, 1))
		}
		if _ = errors.Join(in.Close(), out.Close()); err != nil {
			t.Fatalf("nothing arrives at %v: %v", a, err)
		}
	}
}

func (p *routedPath) exec(t *testing.T, space string, args ...string) {
	t.Helper()
	run(t, exec.Command("ip", append([]string{"netns", "exec", space}, args...)...))
}

// narrow sets the second hop's MTU, and drops the router's ICMP or not.
func (p *routedPath) narrow(t *testing.T, mtu int, icmp bool) {
	t.Helper()
	// What was learned of the path before does not count.
	run(t, exec.Command("ip", "-n", p.sender, "route", "flush", "cache"))
	run(t, exec.Command("ip", "-n", p.sender, "-6", "route", "flush", "cache"))
	run(t, exec.Command("ip", "-n", p.receiver, "link", "set", "dev", "vb", "mtu", strconv.Itoa(mtu)))
	run(t, exec.Command("ip", "-n", p.router, "link", "set", "dev", "mb", "mtu", strconv.Itoa(mtu)))
	p.exec(t, p.router, "nft", "flush", "ruleset")
	if !icmp {
		p.exec(t, p.router, "nft", "table inet f { chain out { type filter hook output priority 0; "+
			"ip protocol icmp drop; icmpv6 type packet-too-big drop; }; }")
	}
}

// inSpace runs do in a namespace, where sockets made then stay.
func inSpace(t *testing.T, space string, do func() error) {
	t.Helper()
	l := link{senderSpace: space}
	var err error
	l.atSender(t, func() { err = do() })
	if err != nil {
		t.Fatalf("%s: %v", space, err)
	}
}

// A pictureCounter is a receiver that counts frames of which every packet came.
type pictureCounter struct {
	conn     *net.UDPConn
	whole    atomic.Int64
	received chan struct{}
}

func newPictureCounter(t *testing.T, p *routedPath, to netip.Addr) *pictureCounter {
	t.Helper()
	c := &pictureCounter{received: make(chan struct{})}
	inSpace(t, p.receiver, func() (err error) {
		c.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 5004)))
		return err
	})
	_ = c.conn.SetReadBuffer(4 << 20)
	go c.count()
	return c
}

func (c *pictureCounter) count() {
	defer close(c.received)
	b := make([]byte, 2000)
	frame, expected, broken, started := uint32(0), uint16(0), false, false
	for {
		_, err := c.conn.Read(b)
		if err != nil {
			return
		}
		sequence, timestamp := packet.Sequence(b), uint32(b[4])<<24|uint32(b[5])<<16|uint32(b[6])<<8|uint32(b[7])
		gap := started && sequence != expected
		if !started || timestamp != frame {
			// A gap before the first packet of a frame may be the end of the one before: S of RFC 7741.
			broken = b[packet.HeaderSize]&0x10 == 0
		} else if gap {
			broken = true
		}
		started, frame, expected = true, timestamp, sequence+1
		if b[1]&0x80 != 0 && !broken {
			c.whole.Add(1)
		}
	}
}

// sendFrames sends n frames of a talking head, a key frame every second, in a tenth of their time.
func sendFrames(t *testing.T, s *Sender, n int) {
	t.Helper()
	for i := range n {
		key, size := i%30 == 0 || s.KeyFrameWanted(), 2500
		if key {
			size = 12_000
		}
		if err := s.Send(make([]byte, size), key, monotonic()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second / 300)
	}
}

// pictures are how many of n frames come out of the path.
func (p *routedPath) pictures(t *testing.T, to netip.Addr, cfg Config, n int) (whole int, s *Sender) {
	t.Helper()
	c := newPictureCounter(t, p, to)
	defer c.conn.Close()
	cfg.Bandwidth = 20_000_000 // frames come at ten times their rate
	cfg.RTP, cfg.RTCP = netip.AddrPortFrom(to, 5004), netip.AddrPortFrom(to, 5005)
	inSpace(t, p.sender, func() (err error) {
		s, err = Open(cfg)
		return err
	})
	sendFrames(t, s, n)
	_ = s.Close()
	for deadline := time.Now().Add(2 * time.Second); c.whole.Load() < int64(n) && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	return int(c.whole.Load()), s
}

func TestPicturesPassEveryPathWhetherRoutersAnswerOrNot(t *testing.T) {
	p := newRoutedPath(t)
	const n = 60
	for _, mtu := range []int{1500, 1492, 1420, 1280, 1248, 1228, 1227, 1000, 800, 576} {
		for _, icmp := range []bool{true, false} {
			p.narrow(t, mtu, icmp)
			for _, to := range []netip.Addr{p.v4, p.v6} {
				if to.Is6() && mtu < 1280 { // IPv6 has no such links (RFC 8200 section 5)
					continue
				}
				got, s := p.pictures(t, to, Config{}, n)
				if got < n*99/100 {
					t.Errorf("MTU %d, ICMP %v, %v: %d of %d pictures: %+v", mtu, icmp, to, got, n, s.Stats().SendErrors)
				}
			}
		}
	}
}

// An MTU of the owner's that ICMP corrects: IPv6, whose routers never cut packets.
func TestRouterOfIPv6CorrectsTheOwnersMTU(t *testing.T) {
	p := newRoutedPath(t)
	p.narrow(t, 1280, true)
	got, s := p.pictures(t, p.v6, Config{MTU: 1500}, 60)
	if e := s.Stats().SendErrors; got < 50 || e.TooLarge == 0 {
		t.Errorf("%d of 60 pictures: %+v, want an EMSGSIZE or two, and 50 and more pictures", got, e)
	}
}

package forward

import (
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// slowNetwork puts this thread, which ends with the test's goroutine, into a network whose loopback
// interface takes 1 kB/s and keeps the rest.
func slowNetwork(t *testing.T) {
	t.Helper()
	need.Root(t, "for a network of its own")
	need.Tools(t, "ip", "tc")
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		need.Missing(t, "a network of its own: "+err.Error())
	}
	for _, c := range []string{
		"ip link set lo up", "tc qdisc add dev lo root tbf rate 8kbit burst 2000 limit 10000000",
	} {
		words := strings.Fields(c)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", c, err, out)
		}
	}
}

// The receiver's goroutine sends for all cameras: a packet that would have to wait for one is dropped.
func TestAFullSendBufferDropsAndNeverBlocks(t *testing.T) {
	slowNetwork(t)
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: "127.0.0.1:6000"}}})
	s := newSink(b.Forwarder, &b.config.Rules[0], grant("a"), "zoo", "gate")
	l, err := openUDP(s, netip.MustParseAddr("127.0.0.1"), 6000, 6001, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.disconnect()
	s.connect(l, "there")
	if err := l.rtp.SetWriteBuffer(20_000); err != nil {
		t.Fatal(err)
	}
	if err := l.rtcp.SetWriteBuffer(5_000); err != nil {
		t.Fatal(err)
	}
	src := newSource()
	const packets = 2000
	at, began := time.Now(), time.Now()
	for n := range packets {
		at = at.Add(100 * time.Millisecond) // reports are among them, whose buffer is full soon
		s.TakePacket(src.packet(make([]byte, 1000), true), at)
		if d := time.Since(began); d > patience {
			t.Fatalf("%d packets took %v: sending waits", n+1, d)
		}
	}
	st := s.state()
	if st.Packets == 0 || st.Packets+st.Dropped != packets || st.SendErrors < st.Dropped ||
		!strings.Contains(st.Error, errBufferFull.Error()) {
		t.Errorf("%+v, want a few packets sent and %d in all", st, packets)
	}
	if n := testing.AllocsPerRun(1000, func() { _ = l.send(s.scratch) }); n != 0 {
		t.Errorf("%v allocations for a packet that is dropped, want none", n)
	}
	t.Logf("FIGURE a full send buffer: %d of %d packets sent, %.1f µs for one that is not", st.Packets, packets,
		float64(time.Since(began).Microseconds())/packets)
}

func TestErrorsOfASocketNameBothEnds(t *testing.T) {
	t.Parallel()
	far := listenPair(t, "127.0.0.1")
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(far.port)}}})
	s := newSink(b.Forwarder, &b.config.Rules[0], grant("a"), "zoo", "gate")
	l, err := openUDP(s, netip.MustParseAddr("127.0.0.1"), far.port, far.port+1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	huge := make([]byte, 70_000)
	for _, c := range []struct {
		send func([]byte) error
		from net.Addr
	}{{l.send, l.rtp.LocalAddr()}, {l.report, l.rtcp.LocalAddr()}} {
		err := c.send(huge)
		want := "write udp " + c.from.String() + "->127.0.0.1:"
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "too long") {
			t.Errorf("a datagram that is too long: %v, want %s…", err, want)
		}
	}
}

// The link of the interop runs: two network namespaces of our own as root, else the
// loopback interface. Two receivers on one port would share it silently.

package rtpsend

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
)

// run runs a command to its end and returns its standard output.
func run(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, errs.String())
	}
	return out.String()
}

// A link has the sender at one end and the receiver's tools at the other.
type link struct {
	senderSpace, receiverSpace string // namespaces; empty: this one
	sender, receiver           netip.Addr
	device                     string // the receiver's interface
	rtp, rtcp, back            int    // receiver's ports, sender's RTCP port
}

// freePair finds two even ports whose odd neighbours are free, too: ffmpeg 5.1 expects
// RTCP on the port after RTP, whatever a=rtcp says.
func freePair(t *testing.T) (a, b int) {
	t.Helper()
	var found []int
	for range 1000 {
		c, at := listen(t, "127.0.0.1")
		p := int(at.Port())
		next, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p + 1})
		if err == nil {
			next.Close()
		}
		c.Close()
		if p%2 == 0 && err == nil && !slices.Contains(found, p) {
			found = append(found, p)
		}
		if len(found) == 2 {
			return found[0], found[1]
		}
	}
	t.Fatal("no free pair of UDP ports")
	return 0, 0
}

func newLink(t *testing.T) *link {
	t.Helper()
	return newLinkOf(t, "10.77.0.1", "10.77.0.2")
}

// newLinkOf takes the addresses of both ends, of one IP version; without root it is the
// loopback interface with IPv4, whatever they say.
func newLinkOf(t *testing.T, sender, receiver string) *link {
	t.Helper()
	if os.Geteuid() != 0 {
		lo := netip.MustParseAddr("127.0.0.1")
		l := &link{sender: lo, receiver: lo, device: "lo"}
		l.rtp, l.back = freePair(t)
		l.rtcp, l.back = l.rtp+1, l.back+1
		return l
	}
	need.Tools(t, "ip")
	id := os.Getpid()
	l := &link{
		senderSpace: fmt.Sprintf("kcs-%d", id), receiverSpace: fmt.Sprintf("kcr-%d", id),
		sender: netip.MustParseAddr(sender), receiver: netip.MustParseAddr(receiver),
		device: "vb", rtp: 5004, rtcp: 5005, back: 5007,
	}
	for _, space := range []string{l.senderSpace, l.receiverSpace} {
		run(t, exec.Command("ip", "netns", "add", space))
		t.Cleanup(func() { run(t, exec.Command("ip", "netns", "del", space)) })
		run(t, exec.Command("ip", "-n", space, "link", "set", "lo", "up"))
	}
	run(t, exec.Command("ip", "-n", l.senderSpace, "link", "add", "va", "type", "veth", "peer", "name", "vb",
		"netns", l.receiverSpace))
	for _, end := range [][]string{
		{l.senderSpace, "va", l.sender.String()}, {l.receiverSpace, "vb", l.receiver.String()},
	} {
		add := []string{"-n", end[0], "addr", "add", end[2] + "/24", "dev", end[1]}
		if l.sender.Is6() {
			add = append(add, "nodad") // or the address is not usable for a second
		}
		run(t, exec.Command("ip", add...))
		run(t, exec.Command("ip", "-n", end[0], "link", "set", end[1], "up"))
	}
	return l
}

// tool is a command at the receiver's end.
func (l *link) tool(name string, args ...string) *exec.Cmd {
	if l.receiverSpace == "" {
		return exec.Command(name, args...)
	}
	return exec.Command("ip", append([]string{"netns", "exec", l.receiverSpace, name}, args...)...)
}

// open opens a Sender whose sockets are at the sender's end, with counters that wrap
// within the first second.
func (l *link) open(t *testing.T) *Sender {
	t.Helper()
	return l.openWith(t, Config{})
}

// openWith adds the link to what cfg says.
func (l *link) openWith(t *testing.T, cfg Config) *Sender {
	t.Helper()
	cfg.RTP = netip.AddrPortFrom(l.receiver, uint16(l.rtp))
	cfg.RTCP = netip.AddrPortFrom(l.receiver, uint16(l.rtcp))
	cfg.LocalRTCPPort = l.back
	cfg.First = &First{
		SSRC: testSSRC, Sequence: 65500, Timestamp: 0xfffff000, PictureID: 0x7ff0,
		RTXSSRC: testSSRC + 1, RTXSequence: 65530,
	}
	var s *Sender
	var err error
	l.atSender(t, func() { s, err = Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// atSender runs do in the sender's namespace, where sockets made then stay.
func (l *link) atSender(t *testing.T, do func()) {
	t.Helper()
	if l.senderSpace == "" {
		do()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	space, err := os.Open("/run/netns/" + l.senderSpace)
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatalf("enter %s: %v", l.senderSpace, err)
	}
	do()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatalf("leave %s: %v", l.senderSpace, err)
	}
}

// A process is a tool that runs beside the test; it is killed at the test's end.
type process struct {
	*exec.Cmd
	done chan error
	out  strings.Builder // standard output, complete after stop
}

func start(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: c, done: make(chan error, 1)}
	c.Stdout = &p.out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- c.Wait() }()
	t.Cleanup(func() { _ = c.Process.Kill() })
	return p
}

// stop ends the process by SIGINT, unless it ends by itself within patience. A tool that
// has said what it had to say and hangs then is not ours to judge.
func (p *process) stop(t *testing.T, patience time.Duration) {
	t.Helper()
	if !p.ends(patience) {
		t.Logf("killed, for it did not end: %s", strings.Join(p.Args, " "))
	}
}

// ends is stop; false: the process hangs, and was killed.
func (p *process) ends(patience time.Duration) bool {
	for range 2 {
		select {
		case <-p.done:
			return true
		case <-time.After(patience):
			_ = p.Process.Signal(syscall.SIGINT)
			patience = 10 * time.Second
		}
	}
	_ = p.Process.Kill()
	<-p.done
	return false
}

// waitForPort waits until somebody at the receiver's end listens there.
func (l *link) waitForPort(t *testing.T, port int) {
	t.Helper()
	want := fmt.Sprintf(":%04X ", port)
	for range 200 {
		if strings.Contains(run(t, l.tool("cat", "/proc/net/udp", "/proc/net/udp6")), want) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nobody listens on port %d after 10 s", port)
}

// capture records the link until the returned function is called, which is nil if this
// user may not record.
func (l *link) capture(t *testing.T, file string) (stop func()) {
	t.Helper()
	c := l.tool("dumpcap", "-q", "-i", l.device, "-f", "udp", "-w", file)
	errs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, c)
	lines := bufio.NewScanner(errs)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "File:") { // it records from here on
			go func() { _, _ = io.Copy(io.Discard, errs) }()
			return func() { p.stop(t, time.Second) } // the kernel hands packets over after 250 ms
		}
	}
	return nil
}

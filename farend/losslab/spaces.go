//go:build linux

// Spaces: the three network namespaces of a run and the bottleneck between them.

package losslab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The addresses and ports of every run; it has them for itself.
var (
	senderAddr    = netip.MustParseAddr("10.77.0.1")
	linkToSender  = netip.MustParseAddr("10.77.0.2")
	linkToRecv    = netip.MustParseAddr("10.78.0.1")
	receiverAddr  = netip.MustParseAddr("10.78.0.2")
	rtpPort       = uint16(5004)
	rtcpPort      = uint16(5005)
	feedbackPort  = uint16(5007)
	senderDevice  = "va"
	receiverEnd   = "vb"
	bottleneckDev = "mb"
)

// A network is the three spaces; close removes them and with them devices and queues.
type network struct {
	sender, link, receiver string
}

// newNetwork makes the spaces, whose names end in the process's id and n.
func newNetwork(n int) (w *network, err error) {
	id := fmt.Sprintf("%d-%d", os.Getpid(), n)
	w = &network{"lab-s-" + id, "lab-l-" + id, "lab-r-" + id}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	for _, space := range []string{w.sender, w.link, w.receiver} {
		if err := command("ip", "netns", "add", space); err != nil {
			return w, err
		}
	}
	for _, args := range [][]string{
		{"-n", w.sender, "link", "add", senderDevice, "type", "veth", "peer", "name", "ma", "netns", w.link},
		{"-n", w.receiver, "link", "add", receiverEnd, "type", "veth", "peer", "name", bottleneckDev, "netns", w.link},
		{"-n", w.sender, "addr", "add", senderAddr.String() + "/24", "dev", senderDevice},
		{"-n", w.link, "addr", "add", linkToSender.String() + "/24", "dev", "ma"},
		{"-n", w.link, "addr", "add", linkToRecv.String() + "/24", "dev", bottleneckDev},
		{"-n", w.receiver, "addr", "add", receiverAddr.String() + "/24", "dev", receiverEnd},
		{"-n", w.sender, "link", "set", "dev", senderDevice, "up"},
		{"-n", w.link, "link", "set", "dev", "ma", "up"},
		{"-n", w.link, "link", "set", "dev", bottleneckDev, "up"},
		{"-n", w.receiver, "link", "set", "dev", receiverEnd, "up"},
		{"-n", w.sender, "link", "set", "dev", "lo", "up"},
		{"-n", w.receiver, "link", "set", "dev", "lo", "up"},
	} {
		if err := command("ip", args...); err != nil {
			return w, err
		}
	}
	return w, w.letEchoesThrough()
}

// letEchoesThrough lets echo requests to the link's end, which the sender takes for the
// receiver, go the way that packets go behind the relay: through the bottleneck. And the
// sender may ask, as on a board.
func (w *network) letEchoesThrough() error {
	for _, setting := range []struct{ space, key, value string }{
		{w.sender, "ping_group_range", "0 2147483647"}, {w.link, "ip_forward", "1"},
	} {
		err := inside(setting.space, func() error {
			return os.WriteFile("/proc/sys/net/ipv4/"+setting.key, []byte(setting.value), 0)
		})
		if err != nil {
			return err
		}
	}
	if err := command("ip", "-n", w.receiver, "route", "add", senderAddr.String(), "via", linkToRecv.String()); err != nil {
		return err
	}
	return command("ip", "netns", "exec", w.link, "nft", fmt.Sprintf(
		"table ip echoes { chain in { type nat hook prerouting priority -100; icmp type echo-request ip daddr %v dnat to %v; }; }", linkToSender, receiverAddr))
}

func (w *network) close() {
	for _, space := range []string{w.sender, w.link, w.receiver} {
		_ = command("ip", "netns", "del", space) // it may not have come so far
	}
}

// narrow sets the bottleneck towards the receiver. A queue that is there stays.
func (w *network) narrow(bitsPerSecond int, queue time.Duration) error {
	return command("tc", "-n", w.link, "qdisc", "replace", "dev", bottleneckDev, "root", "tbf",
		"rate", strconv.Itoa(bitsPerSecond)+"bit", "burst", "5kb", "latency", strconv.Itoa(int(queue.Milliseconds()))+"ms")
}

// dropByNFT lets the receiver's end drop percent of what comes: loss without a seed and
// without a program of ours in its way.
func (w *network) dropByNFT(percent int) error {
	return command("ip", "netns", "exec", w.receiver, "nft", fmt.Sprintf(
		"table inet loss { chain in { type filter hook input priority 0; meta l4proto udp numgen random mod 100 < %d drop; }; }", percent))
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// inside runs do in a space. Sockets opened and processes started in it stay there.
func inside(space string, do func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + space)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", space, err)
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave %s: %w", space, back)) // the thread stays locked and dies with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// relay opens the link's sockets and starts it.
func (w *network) relay(impair Impairment, seed int64, answer netip.AddrPort) (*relay, error) {
	c := relayConfig{
		toRTP: netip.AddrPortFrom(receiverAddr, rtpPort), toRTCP: netip.AddrPortFrom(receiverAddr, rtcpPort),
		answer: answer, impair: impair, seed: seed,
	}
	err := inside(w.link, func() error {
		for _, s := range []struct {
			conn **net.UDPConn
			at   netip.AddrPort
		}{
			{&c.rtp, netip.AddrPortFrom(linkToSender, rtpPort)},
			{&c.rtcp, netip.AddrPortFrom(linkToSender, rtcpPort)},
			{&c.out, netip.AddrPortFrom(linkToRecv, 0)},
			{&c.back, netip.AddrPortFrom(linkToRecv, feedbackPort)},
		} {
			var err error
			if *s.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.at)); err != nil {
				return err
			}
		}
		return force(c.out)
	})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return startRelay(c), nil
}

// force gives a socket 8 MB of send buffer: packets in the queue of the bottleneck count
// as the socket's, and the relay must not block when the queue is full.
func force(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 8<<20)
	})
	return errors.Join(err, set)
}

//go:build linux

// The three network namespaces of a run and the bottleneck between them.

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

// The addresses and ports of every run; no other run shares its namespaces.
var (
	senderAddr       = netip.MustParseAddr("10.77.0.1")
	linkToSender     = netip.MustParseAddr("10.77.0.2")
	linkToReceiver   = netip.MustParseAddr("10.78.0.1")
	receiverAddr     = netip.MustParseAddr("10.78.0.2")
	rtpPort          = uint16(5004)
	rtcpPort         = uint16(5005)
	feedbackPort     = uint16(5007)
	senderDevice     = "va"
	receiverDevice   = "vb"
	bottleneckDevice = "mb"
)

// A network is the three namespaces. Devices and queues go with them.
type network struct {
	sender, link, receiver string
}

// newNetwork makes the namespaces, whose names end in the process's id and n.
func newNetwork(n int) (w *network, err error) {
	id := fmt.Sprintf("%d-%d", os.Getpid(), n)
	w = &network{"lab-s-" + id, "lab-l-" + id, "lab-r-" + id}
	defer func() {
		if err != nil {
			w.removeNamespaces()
		}
	}()
	for _, space := range []string{w.sender, w.link, w.receiver} {
		if err := runCommand("ip", "netns", "add", space); err != nil {
			return w, err
		}
	}
	for _, args := range [][]string{
		{"-n", w.sender, "link", "add", senderDevice, "type", "veth", "peer", "name", "ma", "netns", w.link},
		{"-n", w.receiver, "link", "add", receiverDevice, "type", "veth", "peer", "name", bottleneckDevice, "netns",
			w.link},
		{"-n", w.sender, "addr", "add", senderAddr.String() + "/24", "dev", senderDevice},
		{"-n", w.link, "addr", "add", linkToSender.String() + "/24", "dev", "ma"},
		{"-n", w.link, "addr", "add", linkToReceiver.String() + "/24", "dev", bottleneckDevice},
		{"-n", w.receiver, "addr", "add", receiverAddr.String() + "/24", "dev", receiverDevice},
		{"-n", w.sender, "link", "set", "dev", senderDevice, "up"},
		{"-n", w.link, "link", "set", "dev", "ma", "up"},
		{"-n", w.link, "link", "set", "dev", bottleneckDevice, "up"},
		{"-n", w.receiver, "link", "set", "dev", receiverDevice, "up"},
		{"-n", w.sender, "link", "set", "dev", "lo", "up"},
		{"-n", w.receiver, "link", "set", "dev", "lo", "up"},
	} {
		if err := runCommand("ip", args...); err != nil {
			return w, err
		}
	}
	return w, w.routeEchoes()
}

// routeEchoes sends echo requests to the link's end, which the sender takes for the receiver,
// through the bottleneck, as the relay does with packets. It also permits the sender to send
// them, as on a board.
func (w *network) routeEchoes() error {
	for _, setting := range []struct{ space, key, value string }{
		{w.sender, "ping_group_range", "0 2147483647"}, {w.link, "ip_forward", "1"},
	} {
		err := inNamespace(setting.space, func() error {
			return os.WriteFile("/proc/sys/net/ipv4/"+setting.key, []byte(setting.value), 0)
		})
		if err != nil {
			return err
		}
	}
	err := runCommand("ip", "-n", w.receiver, "route", "add", senderAddr.String(), "via", linkToReceiver.String())
	if err != nil {
		return err
	}
	return runCommand("ip", "netns", "exec", w.link, "nft", fmt.Sprintf(
		"table ip echoes { chain in { type nat hook prerouting priority -100; "+
			"icmp type echo-request ip daddr %v dnat to %v; }; }", linkToSender, receiverAddr))
}

func (w *network) removeNamespaces() {
	for _, space := range []string{w.sender, w.link, w.receiver} {
		_ = runCommand("ip", "netns", "del", space) // some may not exist yet
	}
}

// setBottleneck sets the rate towards the receiver. Packets in the queue stay there.
func (w *network) setBottleneck(bitsPerSecond int, queue time.Duration) error {
	return runCommand("tc", "-n", w.link, "qdisc", "replace", "dev", bottleneckDevice, "root", "tbf",
		"rate", strconv.Itoa(bitsPerSecond)+"bit", "burst", "5kb",
		"latency", strconv.Itoa(int(queue.Milliseconds()))+"ms")
}

// dropByNFT makes the receiver's end drop percent of what comes: loss without a seed and without
// a program of ours on the way.
func (w *network) dropByNFT(percent int) error {
	return runCommand("ip", "netns", "exec", w.receiver, "nft", fmt.Sprintf(
		"table inet loss { chain in { type filter hook input priority 0; "+
			"meta l4proto udp numgen random mod 100 < %d drop; }; }", percent))
}

func runCommand(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// inNamespace runs do in a namespace. Sockets opened and processes started in it stay there.
func inNamespace(space string, do func() error) error {
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
		// The thread stays locked and dies with its goroutine.
		return errors.Join(err, fmt.Errorf("leave %s: %w", space, back))
	}
	runtime.UnlockOSThread()
	return err
}

// openRelay opens the link's sockets and starts the relay.
func (w *network) openRelay(impair Impairment, seed int64, answer netip.AddrPort) (*relay, error) {
	c := relayConfig{
		toRTP: netip.AddrPortFrom(receiverAddr, rtpPort), toRTCP: netip.AddrPortFrom(receiverAddr, rtcpPort),
		answer: answer, impair: impair, seed: seed,
	}
	err := inNamespace(w.link, func() error {
		for _, s := range []struct {
			conn **net.UDPConn
			at   netip.AddrPort
		}{
			{&c.rtp, netip.AddrPortFrom(linkToSender, rtpPort)},
			{&c.rtcp, netip.AddrPortFrom(linkToSender, rtcpPort)},
			{&c.out, netip.AddrPortFrom(linkToReceiver, 0)},
			{&c.back, netip.AddrPortFrom(linkToReceiver, feedbackPort)},
		} {
			var err error
			if *s.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.at)); err != nil {
				return err
			}
		}
		return growSendBuffer(c.out)
	})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return startRelay(c), nil
}

// growSendBuffer gives a socket 8 MB of send buffer: packets in the queue of the bottleneck count
// as the socket's, and the relay must not block when the queue is full.
func growSendBuffer(c *net.UDPConn) error {
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

// Time servers from DHCP: gokrazy's dhcp, which has the lease, does not ask for them, so ntp asks
// for option 42 alone with a DHCPINFORM. Sources: RFC 2131 section 4.4.3, RFC 2132 section 8.3.

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

const (
	informTries   = 2
	informTimeout = 500 * time.Millisecond // of one try: the server is on the same link
	// maxDHCPMessage is more bytes than a DHCP message in an Ethernet frame can have.
	maxDHCPMessage = 1500
	// maxDHCPServers is the maximum of servers that are used of one answer.
	maxDHCPServers = 4
)

var (
	errNotOurAnswer = errors.New("not an answer to our DHCPINFORM")
	errNoAnswer     = errors.New("no DHCP server answers")
)

// serversFromDHCP asks the DHCP servers of n for their NTP servers. It blocks for
// informTries*informTimeout at most. An answer without servers is no error.
func serversFromDHCP(ctx context.Context, n network) ([]netip.Addr, error) {
	conn, err := listenDHCP(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("DHCP port on %s: %w", n.name, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	question, err := newInform(n)
	if err != nil {
		return nil, err
	}
	everyone := &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}
	for range informTries {
		if _, err := conn.WriteTo(question.ToBytes(), everyone); err != nil {
			return nil, fmt.Errorf("DHCPINFORM on %s: %w", n.name, err)
		}
		servers, err := awaitServers(conn, question.TransactionID, time.Now().Add(informTimeout))
		if err == nil || !errors.Is(err, errNoAnswer) {
			return servers, err
		}
	}
	return nil, fmt.Errorf("%w on %s in %v", errNoAnswer, n.name, informTries*informTimeout)
}

// listenDHCP opens port 68 on n's interface only. gokrazy's dhcp reads from a packet socket and
// does not occupy the port; each of the two receives all answers and picks its own by the
// transaction ID.
func listenDHCP(ctx context.Context, n network) (net.PacketConn, error) {
	var bindErr error
	control := func(_, _ string, c syscall.RawConn) error {
		err := c.Control(func(fd uintptr) { bindErr = unix.BindToDevice(int(fd), n.name) })
		return errors.Join(err, bindErr)
	}
	listener := net.ListenConfig{Control: control}
	return listener.ListenPacket(ctx, "udp4", fmt.Sprintf(":%d", dhcpv4.ClientPort))
}

// newInform asks for NTP servers only. The server answers to our address, which is in ciaddr.
func newInform(n network) (*dhcpv4.DHCPv4, error) {
	return dhcpv4.NewInform(net.HardwareAddr(n.hardware), n.address.AsSlice(),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionNTPServers))
}

// awaitServers reads until an answer to xid comes. After the deadline the error is errNoAnswer.
func awaitServers(conn net.PacketConn, xid dhcpv4.TransactionID, deadline time.Time) ([]netip.Addr, error) {
	if err := conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDHCPMessage)
	for {
		length, _, err := conn.ReadFrom(buf)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil, errNoAnswer
		}
		if err != nil {
			return nil, err
		}
		if servers, err := parseServers(buf[:length], xid); err == nil {
			return servers, nil
		}
	}
}

// parseServers returns the NTP servers that a DHCPACK to xid names, in its order, at most
// maxDHCPServers, unicast addresses only.
func parseServers(b []byte, xid dhcpv4.TransactionID) ([]netip.Addr, error) {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("DHCP message of %d bytes: %w", len(b), err)
	}
	if m.OpCode != dhcpv4.OpcodeBootReply || m.TransactionID != xid ||
		m.MessageType() != dhcpv4.MessageTypeAck {
		return nil, errNotOurAnswer
	}
	var servers []netip.Addr
	for _, ip := range m.NTPServers() {
		a, ok := netip.AddrFromSlice(ip)
		a = a.Unmap()
		if !ok || !a.IsGlobalUnicast() || slices.Contains(servers, a) || len(servers) == maxDHCPServers {
			continue
		}
		servers = append(servers, a)
	}
	return servers, nil
}

// Time servers from DHCP: the lease is gokrazy dhcp's, which does not ask for them,
// so we ask for option 42 alone with a DHCPINFORM.
// Spec: RFC 2131 section 4.4.3, RFC 2132 section 8.3.

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
	informTimeout = 500 * time.Millisecond // for one try: the server is on our link
	// maxDHCP is more than an Ethernet frame carries of a DHCP message.
	maxDHCP = 1500
	// maxFromDHCP bounds what one answer can add to a round of questions.
	maxFromDHCP = 4
)

var (
	errNotOurAnswer = errors.New("not an answer to our DHCPINFORM")
	errNoAnswer     = errors.New("no DHCP server answers")
)

// serversFromDHCP asks the DHCP servers of n for their NTP servers. It blocks for
// informTries*informTimeout at most; an answer without servers gives none and no error.
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

// listenDHCP opens port 68 on n's interface alone. gokrazy's dhcp reads from a
// packet socket and does not occupy it; both see both answers and tell them apart
// by the transaction.
func listenDHCP(ctx context.Context, n network) (net.PacketConn, error) {
	var bindErr error
	control := func(_, _ string, c syscall.RawConn) error {
		err := c.Control(func(fd uintptr) { bindErr = unix.BindToDevice(int(fd), n.name) })
		return errors.Join(err, bindErr)
	}
	listener := net.ListenConfig{Control: control}
	return listener.ListenPacket(ctx, "udp4", fmt.Sprintf(":%d", dhcpv4.ClientPort))
}

// newInform asks for NTP servers only. The server answers to our address, which
// stands in ciaddr.
func newInform(n network) (*dhcpv4.DHCPv4, error) {
	return dhcpv4.NewInform(net.HardwareAddr(n.hardware), n.address.AsSlice(),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionNTPServers))
}

// awaitServers reads until an answer to xid comes or until is past (errNoAnswer).
func awaitServers(conn net.PacketConn, xid dhcpv4.TransactionID, until time.Time) ([]netip.Addr, error) {
	if err := conn.SetReadDeadline(until); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDHCP)
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

// parseServers returns the NTP servers that a DHCPACK to xid names, in its order,
// at most maxFromDHCP and only those that one host can be at.
func parseServers(b []byte, xid dhcpv4.TransactionID) ([]netip.Addr, error) {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("DHCP message of %d bytes: %w", len(b), err)
	}
	if m.OpCode != dhcpv4.OpcodeBootReply || m.TransactionID != xid || m.MessageType() != dhcpv4.MessageTypeAck {
		return nil, errNotOurAnswer
	}
	var servers []netip.Addr
	for _, ip := range m.NTPServers() {
		a, ok := netip.AddrFromSlice(ip)
		a = a.Unmap()
		if !ok || !a.IsGlobalUnicast() || slices.Contains(servers, a) || len(servers) == maxFromDHCP {
			continue
		}
		servers = append(servers, a)
	}
	return servers, nil
}

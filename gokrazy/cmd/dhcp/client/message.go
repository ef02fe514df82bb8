// The messages that leave, and which of those that come are ours. Source: RFC 2131 sections 2, 4.1,
// 4.3.6 and table 5.

package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

const (
	// MaxMessage is more bytes than a DHCP message in one Ethernet frame can have. Longer ones are
	// not read, and option 57 says so to the server.
	MaxMessage = 1500
	// vendorClass tells an administrator what asks (option 60).
	vendorClass = "krazycam"
)

var errNotForUs = errors.New("not an answer to us")

// Parse reads an answer of a server to the interface with this MAC address.
func Parse(b []byte, hardware net.HardwareAddr) (*dhcpv4.DHCPv4, error) {
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("DHCP message of %d bytes, at most %d: %w", len(b), MaxMessage, errUnusable)
	}
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("DHCP message of %d bytes: %w", len(b), err)
	}
	if m.OpCode != dhcpv4.OpcodeBootReply || !slices.Equal(m.ClientHWAddr, hardware) {
		return nil, errNotForUs
	}
	return m, nil
}

// newMessage has what all of ours have. elapsed is the time since we began to look for an address, or
// to renew it.
func (c *Client) newMessage(kind dhcpv4.MessageType, elapsed time.Duration) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: c.Hardware,
		NumSeconds:   uint16(min(max(elapsed/time.Second, 0), 0xffff)),
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{},
	}
	binary.BigEndian.PutUint32(m.TransactionID[:], c.transaction)
	m.UpdateOption(dhcpv4.OptMessageType(kind))
	// Type 1 and the MAC address, as gokrazy's own client sent: addresses reserved for a board stay its own.
	m.UpdateOption(dhcpv4.OptClientIdentifier(append([]byte{byte(iana.HWTypeEthernet)}, c.Hardware...)))
	if kind == dhcpv4.MessageTypeDecline {
		return m // table 5: no more than the two and the server's
	}
	m.UpdateOption(dhcpv4.OptClassIdentifier(vendorClass))
	m.UpdateOption(dhcpv4.OptMaxMessageSize(MaxMessage))
	if c.HostName != "" {
		m.UpdateOption(dhcpv4.OptHostName(c.HostName))
	}
	// RFC 3442: 121 is asked for before 3. The host name (12) is asked for by nobody: ours is our own.
	m.UpdateOption(dhcpv4.OptParameterRequestList(
		dhcpv4.OptionSubnetMask, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionRouter,
		dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName, dhcpv4.OptionNTPServers,
		dhcpv4.OptionIPAddressLeaseTime, dhcpv4.OptionServerIdentifier,
		dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue))
	return m
}

func setRequested(m *dhcpv4.DHCPv4, a netip.Addr) {
	if a.IsValid() {
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(a.AsSlice()))
	}
}

func setServer(m *dhcpv4.DHCPv4, a netip.Addr) {
	if a.IsValid() {
		m.UpdateOption(dhcpv4.OptServerIdentifier(a.AsSlice()))
	}
}

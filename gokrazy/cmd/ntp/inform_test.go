package main

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

var xid = dhcpv4.TransactionID{1, 2, 3, 4}

// answer is a server's DHCPACK with option 42 as given.
func answer(option []byte, more ...dhcpv4.Modifier) []byte {
	modifiers := append([]dhcpv4.Modifier{
		dhcpv4.WithTransactionID(xid),
		dhcpv4.WithMessageType(dhcpv4.MessageTypeAck),
		dhcpv4.WithGeneric(dhcpv4.OptionNTPServers, option),
		func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply },
	}, more...)
	m, err := dhcpv4.New(modifiers...)
	if err != nil {
		return nil
	}
	return m.ToBytes()
}

func TestParseServers(t *testing.T) {
	for _, c := range []struct {
		name   string
		option []byte
		want   []netip.Addr
	}{
		{"two servers in the server's order", []byte{192, 0, 2, 2, 192, 0, 2, 1},
			addresses("192.0.2.2", "192.0.2.1")},
		{"the same one twice", []byte{192, 0, 2, 2, 192, 0, 2, 2}, addresses("192.0.2.2")},
		{"five are cut to four", []byte{9, 0, 0, 1, 9, 0, 0, 2, 9, 0, 0, 3, 9, 0, 0, 4, 9, 0, 0, 5},
			addresses("9.0.0.1", "9.0.0.2", "9.0.0.3", "9.0.0.4")},
		{"what no host is at", []byte{0, 0, 0, 0, 127, 0, 0, 1, 224, 0, 1, 1, 255, 255, 255, 255, 169, 254, 1, 1},
			nil},
		{"half an address", []byte{192, 0, 2, 2, 192}, nil},
		{"an empty option", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseServers(answer(c.option), xid)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("servers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseServersTakesOnlyTheAnswerToOurQuestion(t *testing.T) {
	four := []byte{192, 0, 2, 2}
	for _, c := range []struct {
		name   string
		packet []byte
	}{
		{"another transaction", answer(four, dhcpv4.WithTransactionID(dhcpv4.TransactionID{9}))},
		{"a question", answer(four, func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootRequest })},
		{"an offer", answer(four, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer))},
		{"a refusal", answer(four, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak))},
		{"half a message", answer(four)[:120]},
		{"nothing", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := parseServers(c.packet, xid); err == nil {
				t.Errorf("parseServers = %v, want an error", got)
			}
		})
	}
}

func TestNewInformSaysWhereToAnswer(t *testing.T) {
	m, err := newInform(lan[0])
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageType() != dhcpv4.MessageTypeInform || !m.ClientIPAddr.Equal(net.IPv4(192, 0, 2, 9)) {
		t.Errorf("message %v from %v, want INFORM from 192.0.2.9", m.MessageType(), m.ClientIPAddr)
	}
	if !m.IsOptionRequested(dhcpv4.OptionNTPServers) {
		t.Error("option 42 is not asked for")
	}
	if got := len(m.ToBytes()); got > 548 {
		t.Errorf("%d bytes: more than every server takes (RFC 2131 section 2)", got)
	}
}

func FuzzParseServers(f *testing.F) {
	f.Add(answer([]byte{192, 0, 2, 2}))
	f.Add(answer([]byte{192, 0, 2, 2})[:250])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxDHCPMessage {
			return // longer ones are cut when they are read
		}
		servers, err := parseServers(b, xid)
		if err != nil && servers != nil {
			t.Fatalf("servers %v and error %v", servers, err)
		}
		if len(servers) > maxDHCPServers {
			t.Fatalf("%d servers, want at most %d", len(servers), maxDHCPServers)
		}
		for _, a := range servers {
			if !a.Is4() || !isUsable(a) {
				t.Fatalf("server %v, which no host is at", a)
			}
		}
	})
}

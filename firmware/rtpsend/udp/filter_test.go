package udp

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"
)

// Both sockets, of both IP versions: what is RTCP of the receiver's host arrives, whatever its port is,
// and nothing else.
func TestKernelPassesOnlyWhatCanBeRTCPOfTheReceiver(t *testing.T) {
	for _, c := range []struct{ receiver, stranger string }{{"127.0.0.1", "127.0.0.2"}, {"::1", ""}} {
		for _, mux := range []bool{false, true} {
			from, to := listen(t, c.receiver)
			cfg := Config{RTP: to, RTCP: to, Log: slog.New(slog.DiscardHandler)}
			if !mux {
				cfg.RTP = netip.AddrPortFrom(to.Addr(), to.Port()^1)
			}
			rtp, rtcp, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer rtp.Close()
			defer rtcp.Close()
			back := netip.AddrPortFrom(to.Addr(), uint16(rtcp.LocalPort()))
			send := func(from *net.UDPConn, b ...byte) { _, _ = from.WriteToUDPAddrPort(b, back) }
			if c.stranger != "" {
				stranger, _ := listen(t, c.stranger)
				send(stranger, 0x80, 201, 0, 1, 0, 0, 0, 1)
			}
			send(from)
			send(from, 0x80)
			send(from, 0x40, 201, 0, 1, 0, 0, 0, 1)
			send(from, 0x80, 96, 0, 1, 0, 0, 0, 1)
			send(from, 0x80, 191, 0, 1, 0, 0, 0, 1)
			send(from, 0x80, 224, 0, 1, 0, 0, 0, 1)
			send(from, 0x81, 192, 0, 1, 0, 0, 0, 2)
			send(from, 0x9f, 223, 0, 1, 0, 0, 0, 3)
			b := make([]byte, 100)
			for _, want := range []byte{2, 3} {
				n, _, err := rtcp.Receive(b, 5*time.Second)
				if err != nil || n != 8 || b[7] != want {
					t.Errorf("%s, mux %v: % x, %v, want the packet of %d", c.receiver, mux, b[:n], err, want)
				}
			}
		}
	}
}

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// listenPair opens an even port of loopback and the next.
func listenPair(t *testing.T) (media, reports *net.UDPConn, port int) {
	t.Helper()
	for range 100 {
		a, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		port = a.LocalAddr().(*net.UDPAddr).Port
		b, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + 1})
		if port%2 == 0 && err == nil {
			t.Cleanup(func() { b.Close() })
			return a, b, port
		}
		if err == nil {
			b.Close()
		}
	}
	t.Fatal("no pair of ports is free")
	return nil, nil, 0
}

// A stream that a rule is about comes out as long as it goes in, and ends with a goodbye.
func TestServerHandsAStreamOn(t *testing.T) {
	t.Parallel()
	media, reports, port := listenPair(t)
	rules := filepath.Join(t.TempDir(), "forward.json")
	text := fmt.Sprintf(`[{"from": "customer:*", "rtp": "127.0.0.1:%d"}]`, port)
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startServer(t, t.TempDir(), "--tls=false", "--record", "", "--forward", rules)
	startLights(t, 1, p.url, p.key(t), "")
	b := make([]byte, 2000)
	var ssrc uint32
	for n, last := 0, uint16(0); n < 20; n++ {
		media.SetReadDeadline(time.Now().Add(time.Minute))
		size, err := media.Read(b)
		var r rtp.Packet
		if err == nil {
			err = r.Unmarshal(b[:size])
		}
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && (r.SequenceNumber != last+1 || r.SSRC != ssrc) {
			t.Fatalf("packet %d is %v, want number %d of %08x", n, r.Header, last+1, ssrc)
		}
		last, ssrc = r.SequenceNumber, r.SSRC
	}
	if code, _ := p.end(t, syscall.SIGTERM); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for said := ""; ; {
		reports.SetReadDeadline(time.Now().Add(time.Second))
		size, err := reports.Read(b)
		if err != nil {
			t.Fatalf("no BYE, but%s: %v", said, err)
		}
		all, err := rtcp.Unmarshal(b[:size])
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			said += fmt.Sprintf(" %T", one)
			if bye, ok := one.(*rtcp.Goodbye); ok && bye.Sources[0] == ssrc {
				return
			}
		}
	}
}

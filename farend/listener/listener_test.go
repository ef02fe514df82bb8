package listener

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

// connect opens a connection that says nothing.
func connect(t *testing.T, to string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// isClosed waits for the other side to close a connection.
func isClosed(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	_, err := io.Copy(io.Discard, c)
	var late net.Error
	return !errors.As(err, &late) || !late.Timeout()
}

// The server has no times of its own here, so only the limit closes connections.
func TestOneHostCannotHoldMoreConnectionsThanItsLimit(t *testing.T) {
	const ofHostMax = 32
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(Bound(inner, 256, ofHostMax)) }()
	defer func() {
		if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	at := inner.Addr().String()
	var held []net.Conn
	for range 4 * ofHostMax {
		held = append(held, connect(t, at))
	}
	for i, c := range held[ofHostMax:] {
		if !isClosed(c) {
			t.Fatalf("connection %d beyond the limit was not closed", i)
		}
	}
	other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := &http.Client{Transport: &http.Transport{DialContext: other.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + at)
	if err != nil {
		t.Fatalf("another host: %v", err)
	}
	_ = resp.Body.Close()
	for i, c := range held[:ofHostMax] { // they are whole: a request on each is answered
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatalf("connection %d within the limit: %v", i, err)
		}
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
			t.Fatalf("connection %d within the limit got %q, %v", i, b, err)
		}
	}
}

func TestBoundedGivesPlacesBack(t *testing.T) {
	const max = 256
	l := Bound(nil, max, 32)
	host := func(i int) netip.Prefix {
		return hostOf(&net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 9})
	}
	for i := range max {
		if !l.take(host(i)) {
			t.Fatalf("host %d got no place", i)
		}
	}
	if l.take(host(9999)) {
		t.Errorf("more than %d connections", max)
	}
	for i := range max {
		l.give(host(i))
	}
	if l.total != 0 || len(l.open) != 0 {
		t.Errorf("%d places and %d hosts are kept", l.total, len(l.open))
	}
	a := hostOf(&net.TCPAddr{IP: net.ParseIP("2001:db8::1")})
	if b := hostOf(&net.TCPAddr{IP: net.ParseIP("2001:db8::2")}); a != b || a.Bits() != 64 {
		t.Errorf("%v and %v, want one host of an IPv6 network", a, b)
	}
}

func TestABalancerHoldsAsManyConnectionsAsThereMayBe(t *testing.T) {
	const most, ofHostMax = 8, 2
	l := Bound(nil, most, ofHostMax, netip.MustParsePrefix("10.0.0.0/24"))
	balancer, stranger := netip.MustParsePrefix("10.0.0.7/32"), netip.MustParsePrefix("10.0.1.7/32")
	for i := range ofHostMax + 1 {
		if got, want := l.take(stranger), i < ofHostMax; got != want {
			t.Errorf("connection %d of a stranger = %v, want %v", i+1, got, want)
		}
	}
	for i := range most - ofHostMax + 1 {
		if got, want := l.take(balancer), i < most-ofHostMax; got != want {
			t.Errorf("connection %d of a balancer = %v, want %v", i+1, got, want)
		}
	}
}

// Answers to echo requests, and the socket. How they serve a stream is tested in rtpsend.

package udp

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// waitingEcho waits for the answers to 3 of 70 requests.
func waitingEcho() *Echo {
	e := &Echo{token: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, sequence: 70}
	for _, n := range []uint16{66, 67, 69} {
		e.requests[n%echoesKept] = EchoRequest{At: time.Minute, open: true}
	}
	return e
}

// FuzzEchoAnswer: only an answer to an open request counts, once.
func FuzzEchoAnswer(f *testing.F) {
	good := []byte{0, 0, 0, 0, 9, 9, 0, 67, 1, 2, 3, 4, 5, 6, 7, 8}
	for at, values := range [][]byte{{0, 1, 8, 129}, {0, 1}, 7: {67, 66, 69, 68, 70, 3, 131}, 8: {1, 0}} {
		for _, v := range values {
			b := slices.Clone(good)
			b[at] = v
			f.Add(b)
		}
	}
	f.Add(good[:8])
	f.Add(append(slices.Clone(good), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := waitingEcho()
		got, want := 0, 0
		for range 2 {
			if r, ok := e.matchAnswer(b); ok {
				got++
				if r.At != time.Minute {
					t.Errorf("% x answers a request of %v", b, r.At)
				}
			}
		}
		if len(b) == echoSize && b[0] == 0 && b[1] == 0 && string(b[8:]) == string(good[8:]) &&
			slices.Contains([]uint16{66, 67, 69}, binary.BigEndian.Uint16(b[6:])) {
			want = 1
		}
		if got != want {
			t.Errorf("% x counts %d times, want %d", b, got, want)
		}
	})
}

func TestEchoSocketOfAnInterfaceThatIsNotThere(t *testing.T) {
	if s, err := dialEcho(netip.MustParseAddr("fe80::1%nowhere")); err == nil {
		s.Close()
		t.Error("opened a socket to an interface that is not there")
	}
}

package gateway

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A board starts before DHCP has an address: its first request leaves nothing on the wire.
func TestWakeOfARequestThatNeverLeftIsAnsweredAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want time.Duration // between the first and the second request
	}{
		{"no route to the gateway", fmt.Errorf("%w: %w: %w", ErrUnreachable, errNeverSent,
			&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}),
			100 * time.Millisecond},
		{"no name server yet", fmt.Errorf("%w: %w: %w", ErrUnreachable, errNeverSent, errNoNameServer),
			100 * time.Millisecond},
		{"a name server that refused", fmt.Errorf("%w: %w", ErrUnreachable,
			&net.DNSError{Err: "server misbehaving", Server: "192.0.2.53:53"}), time.Second},
		{"a gateway that refused the connection", fmt.Errorf("%w: %w", ErrUnreachable, syscall.ECONNREFUSED),
			time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			a := &failing{err: c.err}
			s := NewSession(SessionConfig{Asker: a, Random: func() float64 { return 0 }})
			done := make(chan error)
			go func() { done <- s.Run(ctx, 640, 480, &revoked{}) }()
			time.Sleep(100 * time.Millisecond)
			s.Wake()
			time.Sleep(1500 * time.Millisecond)
			cancel()
			<-done
			if len(a.times) < 2 || a.times[1].Sub(a.times[0]) != c.want {
				t.Errorf("%s: asked at %v, want the second time %v after the first", c.name, a.times, c.want)
			}
		})
	}
}

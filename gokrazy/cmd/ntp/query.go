// One question to one NTP server: github.com/beevik/ntp is used here and for its
// error values, nowhere else.

package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/beevik/ntp"
)

// askTimeout is for one server: name resolution and answer each.
const askTimeout = 2 * time.Second

// askServer returns what server (a name or address, with or without a port) says
// if the answer may be used: synchronised, fresh, of sane distance (RFC 5905
// appendix A.5.1.1, by the library's Validate). It blocks for 2 askTimeout at most.
func askServer(ctx context.Context, server string) (sample, error) {
	dialer := net.Dialer{Timeout: askTimeout}
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{
		Timeout: askTimeout,
		Dialer: func(_, remote string) (net.Conn, error) {
			return dialer.DialContext(ctx, "udp", remote)
		},
	})
	if err != nil {
		return sample{}, fmt.Errorf("ask %s: %w", server, err)
	}
	if err := r.Validate(); err != nil {
		return sample{}, fmt.Errorf("answer of %s: %w", server, err)
	}
	return sample{server: server, offset: r.ClockOffset, leap: r.Leap}, nil
}

// One question to one NTP server. Besides its constants and errors, github.com/beevik/ntp is used
// only here.

package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/beevik/ntp"
)

// askTimeout is the timeout of name resolution, and that of the answer.
const askTimeout = 2 * time.Second

// askServer returns the time of server (a name or address, with or without a port) if the answer
// may be used: synchronised, fresh, of plausible distance (RFC 5905 appendix A.5.1.1, by the
// library's Validate). It blocks for 2 askTimeout at most.
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

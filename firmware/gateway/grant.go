// A grant, as the session passes it on.

package gateway

import (
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Grant is a yes to start_stream.
type Grant struct {
	Utilization       wire.ID
	Host              string // as the gateway wrote it, for messages only
	RTPPort, RTCPPort int    // likewise
	KeepAlive         time.Duration
	SSRC              uint32     // for this session alone
	SRTP              *wire.SRTP // nil: the stream goes in the clear
	Agreed            Agreed

	// RTP and RTCP are where packets may go: resolved once and checked by a
	// Policy. Nothing may resolve Host again, or a bad name server could move
	// the stream after the check.
	RTP, RTCP netip.AddrPort
}

// Bounds of the lease's period.
const (
	keepAliveMin = 5 * time.Second
	keepAliveMax = 600 * time.Second
)

// clampKeepAlive gives the lease's period that an answer means.
func clampKeepAlive(n wire.OptionalInt) time.Duration {
	if !n.Said {
		return wire.DefaultKeepAlive
	}
	return min(max(time.Duration(n.N)*time.Second, keepAliveMin), keepAliveMax)
}

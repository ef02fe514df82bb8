// What a source posts.

package wire

import (
	"fmt"
	"time"
)

// The four actions.
const (
	ActionNewUtilizationID = "new_utilization_id"
	ActionStartStream      = "start_stream"
	ActionValidateStream   = "validate_stream"
	ActionStopStream       = "stop_stream"
)

// A Request is what a source posts: strictly these fields, each only where the
// action has it.
type Request struct {
	Action      string `json:"action"`
	Key         string `json:"key,omitempty"` // secret
	Utilization ID     `json:"utilization_id,omitzero"`
	Width       int    `json:"width,omitempty"`
	Height      int    `json:"height,omitempty"`

	// Additions to start_stream, which a gateway may ignore.
	Codec string   `json:"codec,omitempty"`
	SSRC  uint32   `json:"ssrc,omitempty"`
	SRTP  []string `json:"srtp,omitempty"` // profiles that the source can do, the best first
	Offer []string `json:"offer,omitempty"`

	// An addition to start_stream and validate_stream.
	Board *Board `json:"board,omitempty"`
}

// String is for logs: the request without its key.
func (r Request) String() string {
	return fmt.Sprintf("%s utilization_id=%v width=%d height=%d",
		r.Action, r.Utilization, r.Width, r.Height)
}

// The names of what a source offers beyond RTP and RTCP.
const (
	OfferRTX         = "rtx"      // resends by RFC 4588, payload type 97
	OfferTransport   = "twcc"     // transport-wide numbers, for feedback on each packet's arrival
	OfferCaptureTime = "ntp-64"   // RFC 6051
	OfferMux         = "rtcp-mux" // RTP and RTCP on one port (RFC 5761), if rtp_port equals rtcp_port
)

// DefaultKeepAlive is how often a source asks whether it may go on, where an answer has no
// keepalive_s.
const DefaultKeepAlive = 60 * time.Second

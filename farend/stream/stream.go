// Package stream is the vocabulary between a gateway and the video servers that take the streams it
// grants: what is granted, where it goes, what came of it. It does nothing by itself.
//
// Lengths of time are time.Duration, bit rates bit/s, losses 0 to 1.
//
// Sources: docs/gateway.md, docs/video-server.md.
package stream

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Errors of a VideoServer. One that wraps os.ErrDeadlineExceeded means that nothing came for too long.
var (
	ErrUnreachable = errors.New("the video server cannot be reached") // gone, or about to end
	ErrFull        = errors.New("the video server has no place left")
	ErrUnknown     = errors.New("the video server does not know this stream")
	ErrAmbiguous   = errors.New("the source announced no SSRC, and another of its address sends to these ports")
	ErrNeedsMux    = errors.New("the video server has one port for RTP and RTCP, and the source offers no rtcp-mux")
)

// A Grant is one stream that may come.
type Grant struct {
	ID       string     // of the stream, in logs, files and paths: letters and digits, hard to guess
	Customer int64      // whose it is
	Source   wire.ID    // the utilization id
	Asker    netip.Addr // from which the source asked; not valid: unknown
	SSRC     uint32     // that the source announced; 0: none
	Offer    []string   // what the source can do: wire.OfferRTX and its like
	SRTP     *wire.SRTP // nil: in the clear
	Width    int        // that the source announced, in pixels
	Height   int

	// Lease is after how long without Captured the server ends the stream by itself, for a gateway that
	// is gone or cannot reach it. 0: never.
	Lease time.Duration
}

// A Place is where a granted stream goes, and what its receiver wants.
type Place struct {
	Host        string // "": the host by which the source reached the gateway
	RTPPort     int    // equal to RTCPPort: one port for both (RFC 5761)
	RTCPPort    int
	RTX         bool  // resends by RFC 4588
	Transport   uint8 // ID of the header extension for transport-wide numbers; 0: not wanted
	CaptureTime uint8 // ID of the header extension for ntp-64; 0: not wanted
}

// A Verdict says whether the server captures a stream: Code is 0 if it does, Words are for a log.
type Verdict struct {
	Code  int
	Words string
}

// A VideoServer takes granted streams: the receiver of this process, or another by HTTP. It is safe for
// use by several goroutines.
type VideoServer interface {
	// Begin opens a place for a stream. Its ID is new.
	Begin(ctx context.Context, g Grant) (Place, error)

	// Captured says what arrives. asker is from where the source asks now; its packets may come
	// from there, too.
	Captured(ctx context.Context, id string, asker netip.Addr) (Verdict, error)

	// End closes the place; because is for the log. ErrUnknown: it is closed already.
	End(ctx context.Context, id, because string) error
}

// Payloads of VP8 in RTP, both ways. Owns nothing but memory that it reuses.
// Test without hardware: go test ./firmware/rtpvp8. Spec: RFC 7741, RFC 6386.

// Package rtpvp8 cuts VP8 frames into RTP payloads and puts payloads together
// again.
//
// The Packetizer stands between the encoder and rtpsend on the board; the
// Assembler stands behind the receiver's socket on the far end. There is no
// goroutine, clock or socket in here, and RTP headers are the caller's: a payload
// is what follows them. Sizes are bytes, timestamps are 1/90000 s.
//
// Sources: RFC 7741 section 4.2 (payload descriptor), section 4.3 and RFC 6386
// section 9.1 (frame header), RFC 3550 appendix A.1 (sequence numbers).
package rtpvp8

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxPayload is the most bytes of RTP payload that fit into one Ethernet frame
// without IP fragmentation, VP8 payload descriptor included:
//
//	1500 MTU - 40 IPv6 - 8 UDP - 12 RTP = 1440
const MaxPayload = 1500 - 40 - 8 - 12

// ErrMalformed is the cause of every error about bytes that are no VP8 payload or
// no VP8 frame.
var ErrMalformed = errors.New("malformed VP8")

// Sizes of the frame header, RFC 6386 section 9.1: a tag of 3 bytes; on key frames
// a start code of 3 and two sides of 2 bytes follow.
const (
	tagSize       = 3
	keyHeaderSize = tagSize + 3 + 2 + 2
	sideMask      = 1<<14 - 1 // the two upper bits of a side ask for scaling
)

// A Header is what the first bytes of a frame say in clear.
type Header struct {
	Key           bool
	Width, Height int // pixels, 0 on frames that are no key frames
}

// ParseHeader reads the start of a whole frame (RFC 6386 section 9.1). Its errors
// wrap ErrMalformed.
func ParseHeader(frame []byte) (Header, error) {
	if len(frame) < tagSize {
		return Header{}, fmt.Errorf("rtpvp8: frame of %d bytes has no frame tag: %w", len(frame), ErrMalformed)
	}
	if frame[0]&1 != 0 { // the bit is called key_frame and is 0 on key frames
		return Header{}, nil
	}
	if len(frame) < keyHeaderSize {
		return Header{}, fmt.Errorf("rtpvp8: key frame of %d bytes ends in its header: %w", len(frame), ErrMalformed)
	}
	if code := [3]byte(frame[tagSize:]); code != [3]byte{0x9d, 0x01, 0x2a} {
		return Header{}, fmt.Errorf("rtpvp8: key frame with start code % x: %w", code, ErrMalformed)
	}
	h := Header{
		Key:    true,
		Width:  int(binary.LittleEndian.Uint16(frame[6:]) & sideMask),
		Height: int(binary.LittleEndian.Uint16(frame[8:]) & sideMask),
	}
	if h.Width == 0 || h.Height == 0 {
		return Header{}, fmt.Errorf("rtpvp8: key frame of %dx%d pixels: %w", h.Width, h.Height, ErrMalformed)
	}
	return h, nil
}

// Virtual webcam: when a picture is due and how it is cut into UVC payloads and bulk
// transfers. Spec: UVC 1.1 section 2.4.3 (payload header 2.4.3.3, bulk 2.4.3.2).

package virtualcam

import (
	"encoding/binary"
	"fmt"
	"time"
)

const (
	// payloadSize fills one bulk URB of uvcvideo: 32 packets x 512 bytes = 16384.
	payloadSize = 32 * packetSize
	// payloadHeader is its own length 1, flags 1, the picture's time 4, the camera's clock 4
	// and the USB frame number 2 bytes. The kernel's metadata node hands it out.
	payloadHeader = 12

	flagEndOfHeader = 0x80
	flagError       = 0x40
	flagClock       = 0x08
	flagTime        = 0x04
	flagEndOfFrame  = 0x02
	flagFrameID     = 0x01 // toggles with each picture

	// clockRate is the camera's clock in the descriptors, Hz.
	clockRate = 48_000_000
)

// A stream is the picture under way and the time of the next one. It has no clock.
type stream struct {
	number  uint32    // of the newest picture, from 1
	next    time.Time // when the next picture is due
	frameID byte
	picture []byte    // rest of the picture that no payload holds yet; nil: between pictures
	payload []byte    // rest of the payload being sent; nil: between payloads
	full    bool      // that payload has payloadSize
	exposed time.Time // of the picture under way
	damaged bool      // the picture under way carries the error bit
}

// begin starts over at now: the host committed to a format.
func (s *stream) begin(now time.Time) {
	s.abort()
	s.next = now
}

// abort drops the picture under way.
func (s *stream) abort() { s.picture, s.payload = nil, nil }

func (s *stream) busy() bool { return s.picture != nil || s.payload != nil }

func (s *stream) due(now time.Time) bool { return !now.Before(s.next) }

// load takes the newest picture that is due at now. Older ones, for which the host came
// too late, are lost as in a real camera, but counted.
func (s *stream) load(source Source, p probe, f Faults, now time.Time) error {
	if s.next.IsZero() { // a host may stream without having committed
		s.next = now
	}
	interval := p.interval()
	late := now.Sub(s.next) / interval
	s.exposed = s.next.Add(late * interval)
	s.next = s.exposed.Add(interval)
	s.number += 1 + uint32(late)
	s.frameID ^= flagFrameID
	size := p.size(source.Sizes())
	if f.Resize {
		size = otherSize(size, source.Sizes())
	}
	b, err := source.Buffer(p.format(), size, s.number, s.exposed)
	if err != nil {
		return fmt.Errorf("virtual camera: picture %d as %v %dx%d: %w", s.number, p.format(), size.Width,
			size.Height, err)
	}
	s.picture, s.damaged = f.spoil(p.format(), b), f.ErrorBit
	if s.picture == nil {
		s.picture = []byte{}
	}
	return nil
}

// transfer is the answer to one bulk request of at most max bytes. A payload may need
// several; it ends at its full size or with a short transfer, which can be an empty one.
func (s *stream) transfer(max int) []byte {
	if s.payload == nil {
		s.payload = s.cut(payloadSize)
		s.full = len(s.payload) == payloadSize
	}
	b := s.payload[:min(max, len(s.payload))]
	s.payload = s.payload[len(b):]
	if len(s.payload) == 0 && (len(b) < max || s.full) {
		s.payload = nil
	}
	return b
}

// cut takes the next payload, of at most most bytes, off the picture.
func (s *stream) cut(most int) []byte {
	n, flags := len(s.picture), flagEndOfHeader|flagClock|flagTime|s.frameID
	if s.damaged {
		flags |= flagError
	}
	if n <= most-payloadHeader {
		flags |= flagEndOfFrame
	} else {
		n = most - payloadHeader
	}
	b := make([]byte, 0, payloadHeader+n)
	ticks := uint32(s.exposed.UnixMicro() * (clockRate / 1_000_000)) // wraps, as real ones do
	b = append(b, payloadHeader, flags)
	b = binary.LittleEndian.AppendUint32(b, ticks)
	b = binary.LittleEndian.AppendUint32(b, ticks)
	b = binary.LittleEndian.AppendUint16(b, uint16(s.exposed.UnixMilli())&0x7ff) // 11 bits
	b = append(b, s.picture[:n]...)
	s.picture = s.picture[n:]
	if flags&flagEndOfFrame != 0 {
		s.picture = nil
	}
	return b
}

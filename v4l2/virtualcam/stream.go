// When a picture is due, and how it is cut into UVC payloads and bulk transfers. Source: UVC 1.1
// section 2.4.3 (payload header 2.4.3.3, bulk 2.4.3.2).

package virtualcam

import (
	"encoding/binary"
	"fmt"
	"time"
)

const (
	// payloadSize fills one bulk URB of uvcvideo at high speed, 32 packets x 512 bytes = 16384, and
	// eight at full speed.
	payloadSize = 32 * packetSize
	// payloadHeaderSize: its own length 1, flags 1, the picture's time 4, the camera's clock 4
	// and the USB frame number 2 bytes. The kernel's metadata node delivers this header.
	payloadHeaderSize = 12

	flagEndOfHeader = 0x80
	flagError       = 0x40
	flagClock       = 0x08
	flagTime        = 0x04
	flagEndOfFrame  = 0x02
	flagFrameID     = 0x01 // toggles with each picture

	// clockRateHz is the rate of the camera's clock in the descriptors.
	clockRateHz = 48_000_000
)

// A stream is the present picture and the time of the next one. It has no clock.
type stream struct {
	number  uint32    // of the newest picture, from 1
	next    time.Time // when the next picture is due
	frameID byte
	picture []byte    // rest of the picture that no payload holds yet; nil: between pictures
	payload []byte    // rest of the payload being sent; nil: between payloads
	full    bool      // that payload has payloadSize
	exposed time.Time // when the present picture was exposed
	damaged bool      // the present picture carries the error bit
}

// startAt starts the stream again at now: the host committed to a format.
func (s *stream) startAt(now time.Time) {
	s.dropPicture()
	s.next = now
}

// dropPicture drops the present picture.
func (s *stream) dropPicture() { s.picture, s.payload = nil, nil }

func (s *stream) isSending() bool { return s.picture != nil || s.payload != nil }

func (s *stream) isDue(now time.Time) bool { return !now.Before(s.next) }

// loadPicture gets the newest picture that is due at now. Older ones, for which the host was too
// late, are lost as in a real camera, but counted.
func (s *stream) loadPicture(source Source, p probe, f Faults, now time.Time) error {
	if s.next.IsZero() { // a host may stream without a commit
		s.next = now
	}
	interval := p.interval()
	late := now.Sub(s.next) / interval
	s.exposed = s.next.Add(late * interval)
	s.next = s.exposed.Add(interval)
	s.number += 1 + uint32(late)
	s.frameID ^= flagFrameID
	size := p.pictureSize(source.ListSizes())
	b, err := f.fillBuffer(source, p.pixelFormat(), size, s.number, s.exposed)
	if err != nil {
		return fmt.Errorf("virtual camera: picture %d as %v %dx%d: %w", s.number, p.pixelFormat(), size.Width,
			size.Height, err)
	}
	s.picture, s.damaged = f.damagePicture(p.pixelFormat(), f.loseBytes(b, s.number)), f.ErrorBit
	if s.picture == nil {
		s.picture = []byte{}
	}
	return nil
}

// nextTransfer is the answer to one bulk request of at most maxBytes. A payload may need several
// transfers; it ends at its full size or with a short transfer, which can be empty.
func (s *stream) nextTransfer(maxBytes int) []byte {
	if s.payload == nil {
		s.payload = s.cutPayload(payloadSize)
		s.full = len(s.payload) == payloadSize
	}
	b := s.payload[:min(maxBytes, len(s.payload))]
	s.payload = s.payload[len(b):]
	if len(s.payload) == 0 && (len(b) < maxBytes || s.full) {
		s.payload = nil
	}
	return b
}

// cutPayload cuts the next payload, of at most maxBytes, from the picture.
func (s *stream) cutPayload(maxBytes int) []byte {
	n, flags := len(s.picture), flagEndOfHeader|flagClock|flagTime|s.frameID
	if s.damaged {
		flags |= flagError
	}
	if n <= maxBytes-payloadHeaderSize {
		flags |= flagEndOfFrame
	} else {
		n = maxBytes - payloadHeaderSize
	}
	b := make([]byte, 0, payloadHeaderSize+n)
	ticks := uint32(s.exposed.UnixMicro() * (clockRateHz / 1_000_000)) // wraps, as in a real camera
	b = append(b, payloadHeaderSize, flags)
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

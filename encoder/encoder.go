// Package encoder encodes pictures as VP8 frames.
//
// It stands between encoder/convert, which turns a driver's buffer into a picture, and rtpvp8,
// which cuts a frame into payloads. A picture is an *image.YCbCr 4:2:0 over any memory;
// NewPicture allocates one in C memory that is written again and again.
//
// An Encoder owns one libvpx encoder and the last frame, and no goroutine; one goroutine at a time
// may use it. Rates are in bit/s, times are durations since any fixed moment (CLOCK_MONOTONIC for
// a camera).
//
// Sources: RFC 6386 (VP8), vpx/vp8cx.h of libvpx 1.12.0.
package encoder

/*
#cgo LDFLAGS: -l:libvpx.a -lm -lpthread
#cgo noescape vp8_encode
#cgo nocallback vp8_encode
#include <stdlib.h>
#include "vp8.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"time"
	"unsafe"

	"github.com/krazycam/krazycam/encoder/convert"
)

// ErrClosed is returned by an Encoder after Close.
var ErrClosed = errors.New("encoder is closed")

// An Encoder encodes pictures of one size into one VP8 stream. Reconfigure changes the size.
type Encoder struct {
	c      *C.vp8 // nil once closed
	config Config
	clock  clock

	maxIntra int // limit of a key frame, percent of an average frame; 0: none
}

// A Frame is one encoded picture.
type Frame struct {
	// Bytes is libvpx's memory, valid until the next Encode, Reconfigure or Close. It is empty if
	// rate control dropped the picture.
	Bytes     []byte
	Key       bool // decodes without any other frame
	Quantizer int  // index in the bit stream, 0 (finest) to 127
}

// New opens an encoder, whose first frame will be a key frame. The caller closes it.
func New(c Config) (*Encoder, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	e := (*C.vp8)(C.calloc(1, C.sizeof_vp8))
	if e == nil {
		return nil, fmt.Errorf("encoder: %v: no memory", c)
	}
	if C.vp8_open(e, C.int(c.Width), C.int(c.Height), c.Bitrate.kbitPerSecond(), C.int(c.Speed),
		C.int(c.Threads), C.int(c.MaxIntraPercent(false))) != 0 {
		defer C.free(unsafe.Pointer(e))
		return nil, fmt.Errorf("encoder: open libvpx for %v: %s", c, C.GoString(&e.detail[0]))
	}
	return &Encoder{c: e, config: c, clock: newClock(c.FPS), maxIntra: c.MaxIntraPercent(false)}, nil
}

// Encode encodes the picture that was captured at the given time. A time that is not later than
// the one before counts as a small step forwards. forceKey asks for a key frame. Encode blocks for
// the time that encoding takes and keeps nothing of p.
func (e *Encoder) Encode(p *image.YCbCr, at time.Duration, forceKey bool) (Frame, error) {
	if e.c == nil {
		return Frame{}, fmt.Errorf("encode: %w", ErrClosed)
	}
	if err := convert.CheckPicture(p, e.config.Width, e.config.Height); err != nil {
		return Frame{}, fmt.Errorf("encode: %w", err)
	}
	start, length := e.clock.spanOf(at)
	key, maxIntra := C.int(0), C.int(0)
	if forceKey {
		key, maxIntra = 1, C.int(e.maxIntraOf(length))
	}
	if C.vp8_encode(e.c, (*C.uint8_t)(&p.Y[0]), (*C.uint8_t)(&p.Cb[0]), (*C.uint8_t)(&p.Cr[0]),
		C.int(p.YStride), C.int(p.CStride), C.int64_t(start), C.ulong(length), key,
		maxIntra) != 0 {
		return Frame{}, fmt.Errorf("encode %v picture at %v: %s", e.config, at, C.GoString(&e.c.detail[0]))
	}
	f := Frame{Key: e.c.key != 0, Quantizer: int(e.c.quantizer)}
	if e.c.size > 0 {
		f.Bytes = unsafe.Slice((*byte)(e.c.data), int(e.c.size))
	}
	return f, nil
}

// SetBitrate changes the rate that the next frames aim at, without a key frame.
func (e *Encoder) SetBitrate(b Bitrate) error {
	if e.c == nil {
		return fmt.Errorf("set bitrate: %w", ErrClosed)
	}
	if err := b.validate(); err != nil {
		return fmt.Errorf("set bitrate: %w", err)
	}
	if C.vp8_set_bitrate(e.c, b.kbitPerSecond()) != 0 {
		return fmt.Errorf("set bitrate %v: %s", b, C.GoString(&e.c.detail[0]))
	}
	e.config.Bitrate = b
	return nil
}

// Close frees the encoder and the bytes of its last frame. A second Close does nothing.
func (e *Encoder) Close() {
	if e.c == nil {
		return
	}
	C.vp8_close(e.c)
	C.free(unsafe.Pointer(e.c))
	e.c = nil
}

// kbitPerSecond is the rate in libvpx's unit.
func (b Bitrate) kbitPerSecond() C.int { return C.int((b + 500) / 1000) }

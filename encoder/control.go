// What can change while the stream runs: libvpx's controls by name, and bitrate, frame rate and
// size.

package encoder

// #include <stdlib.h>
// #include "control.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// A Control is one of libvpx's settings that are not part of its configuration. docs/encoder.md
// lists what each costs and gives, as measured.
type Control int

const (
	ControlSpeed           Control = C.SPEED            // cpu-used, -16 to -1
	ControlNoise           Control = C.NOISE            // denoiser, 0 (off) to 6
	ControlStaticThreshold Control = C.STATIC_THRESHOLD // a block that differs less from the last is skipped
	ControlMaxIntra        Control = C.MAX_INTRA        // limit of a key frame, percent of an average frame; 0: none
	ControlGoldenBoost     Control = C.GOLDEN_BOOST     // additional bits for a golden frame, percent
	ControlTokenPartitions Control = C.TOKEN_PARTITIONS // 0 to 3: 1, 2, 4 or 8
)

// String is the name in docs/encoder.md.
func (c Control) String() string {
	names := [...]string{"speed", "noise", "static threshold", "max intra", "golden boost", "token partitions"}
	if c < 0 || int(c) >= len(names) {
		return fmt.Sprintf("control %d", int(c))
	}
	return names[c]
}

// SetControl changes a control from the next frame on. libvpx checks the value; if it refuses, its
// words are in the error, and the stream goes on as it was.
func (e *Encoder) SetControl(c Control, value int) error {
	if e.c == nil {
		return fmt.Errorf("set %v: %w", c, ErrClosed)
	}
	if c < 0 || c >= C.CONTROLS {
		return fmt.Errorf("set %v: there is no such control", c)
	}
	if c == ControlSpeed && (value < -16 || value > -1) { // libvpx takes a positive one, which is slow
		return fmt.Errorf("set %v to %d: want -16 to -1", c, value)
	}
	if C.vp8_set_control(e.c, C.enum_control(c), C.int(value)) != 0 {
		return fmt.Errorf("set %v to %d: %s", c, value, C.GoString(&e.c.detail[0]))
	}
	if c == ControlMaxIntra {
		e.maxIntra = value
	}
	return nil
}

// Config is the present configuration.
func (e *Encoder) Config() Config { return e.config }

// Reconfigure encodes the next pictures as c says, in the same stream: time goes on. If only
// bitrate, frame rate and speed change, no key frame is made. Another size or number of threads
// takes a new libvpx encoder, whose first frame is a key frame and whose other controls are those
// of New; the bytes of the last frame are gone. After an error the encoder is as it was.
func (e *Encoder) Reconfigure(c Config) error {
	if e.c == nil {
		return fmt.Errorf("reconfigure: %w", ErrClosed)
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.Width != e.config.Width || c.Height != e.config.Height || c.Threads != e.config.Threads {
		return e.replaceEncoder(c)
	}
	if err := c.validate(); err != nil {
		return err
	}
	if err := e.SetBitrate(c.Bitrate); err != nil {
		return err
	}
	if err := e.SetControl(ControlSpeed, c.Speed); err != nil {
		return err
	}
	if err := e.SetControl(ControlMaxIntra, c.MaxIntraPercent(false)); err != nil {
		return err
	}
	e.config = c
	e.clock.interval = newClock(c.FPS).interval
	return nil
}

// replaceEncoder opens a libvpx encoder for c before it closes the present one.
func (e *Encoder) replaceEncoder(c Config) error {
	next, err := New(c)
	if err != nil {
		return err
	}
	C.vp8_close(e.c)
	C.free(unsafe.Pointer(e.c))
	e.c, e.config, e.maxIntra = next.c, next.config, next.maxIntra
	e.clock.interval = next.clock.interval
	return nil
}

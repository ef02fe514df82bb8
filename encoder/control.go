// What can be changed while the stream runs: libvpx's controls by name, and rate,
// frame rate and size.

package encoder

// #include <stdlib.h>
// #include "control.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// A Control is one of libvpx's settings beside the configuration. docs/encoder.md
// says what each was measured to do.
type Control int

const (
	Speed           Control = C.SPEED            // cpu-used, -16 to -1
	Noise           Control = C.NOISE            // denoiser, 0 (off) to 6
	StaticThreshold Control = C.STATIC_THRESHOLD // a block that differs less from the last is skipped
	MaxIntra        Control = C.MAX_INTRA        // size of a key frame, percent of an average frame; 0: no limit
	GoldenBoost     Control = C.GOLDEN_BOOST     // more bits for a golden frame, percent
	TokenPartitions Control = C.TOKEN_PARTITIONS // 0 to 3: 1, 2, 4 or 8
)

// String gives the name as docs/encoder.md has it.
func (c Control) String() string {
	names := [...]string{"speed", "noise", "static threshold", "max intra", "golden boost", "token partitions"}
	if c < 0 || int(c) >= len(names) {
		return fmt.Sprintf("control %d", int(c))
	}
	return names[c]
}

// Set changes a control from the next frame on. libvpx checks the value; its words
// are in the error, and the stream goes on as it was.
func (e *Encoder) Set(c Control, value int) error {
	if e.c == nil {
		return fmt.Errorf("set %v: %w", c, ErrClosed)
	}
	if c < 0 || c >= C.CONTROLS {
		return fmt.Errorf("set %v: there is no such control", c)
	}
	if c == Speed && (value < -16 || value > -1) { // a positive one is valid to libvpx, and slow
		return fmt.Errorf("set %v to %d: want -16 to -1", c, value)
	}
	if C.vp8_control(e.c, C.enum_control(c), C.int(value)) != 0 {
		return fmt.Errorf("set %v to %d: %s", c, value, C.GoString(&e.c.detail[0]))
	}
	return nil
}

// Config is what the encoder is set to now.
func (e *Encoder) Config() Config { return e.config }

// Reconfigure makes the next frames as c says, in the same stream: time goes on. If
// nothing changes but bitrate, frame rate and speed, no key frame is made. Another
// size or number of threads takes a new libvpx encoder, whose first frame is a key
// frame and whose other controls are those of New. The bytes of the last frame are
// gone. After an error the encoder is as it was.
func (e *Encoder) Reconfigure(c Config) error {
	if e.c == nil {
		return fmt.Errorf("reconfigure: %w", ErrClosed)
	}
	if c.Threads == 0 {
		c.Threads = 1
	}
	if c.Width != e.config.Width || c.Height != e.config.Height || c.Threads != e.config.Threads {
		return e.replace(c)
	}
	if err := c.check(); err != nil {
		return err
	}
	if err := e.SetBitrate(c.Bitrate); err != nil {
		return err
	}
	if err := e.Set(Speed, c.Speed); err != nil {
		return err
	}
	if err := e.Set(MaxIntra, c.MaxIntra(false)); err != nil {
		return err
	}
	e.config = c
	e.clock.nominal = newClock(c.FPS).nominal
	return nil
}

// replace opens a libvpx encoder for c before it gives up the one at hand.
func (e *Encoder) replace(c Config) error {
	next, err := New(c)
	if err != nil {
		return err
	}
	C.vp8_close(e.c)
	C.free(unsafe.Pointer(e.c))
	e.c, e.config = next.c, next.config
	e.clock.nominal = next.clock.nominal
	return nil
}

// What an encoder can be told, checked before libvpx sees it. No cgo in here.

//go:build cgo

package encoder

import "fmt"

// A Bitrate is in bit/s.
type Bitrate int

// The bitrates that make sense. Below the least, frames of the smallest camera
// size at the coarsest quantizer are larger than the rate allows; the most is what
// a board's 100 Mbit/s network carries.
const (
	MinBitrate Bitrate = 10_000
	MaxBitrate Bitrate = 100_000_000
)

// MaxSide is the largest width and height in pixels. VP8 could count to 16383
// (RFC 6386 section 9.1); 4096x4096 takes about 150 MB in libvpx, and no board
// encodes more.
const MaxSide = 4096

// Config describes an encoder.
type Config struct {
	Width, Height int // pixels, 1 to MaxSide; odd sides are fine
	FPS           int // nominal frames in a second, 1 to 120
	Bitrate       Bitrate
	// Speed is -1 (slow) to -16: libvpx's cpu-used, always negative. A positive one
	// lets libvpx choose, and what it chooses costs twice the time of -12 for the
	// same picture (measured on amd64, 640x480, 600 kbit/s).
	Speed int
	// Threads is 1 to 4; 0 means 1. libvpx's threads wait busily: at 640x480 two
	// cost 1.7 times the CPU of one and are no faster unless a core idles.
	Threads int
}

// String gives a person's words: "640x480 30 fps 600 kbit/s".
func (c Config) String() string {
	return fmt.Sprintf("%dx%d %d fps %v", c.Width, c.Height, c.FPS, c.Bitrate)
}

// String gives kbit/s, as a person reads a rate.
func (b Bitrate) String() string { return fmt.Sprintf("%g kbit/s", float64(b)/1000) }

func (b Bitrate) check() error {
	if b < MinBitrate || b > MaxBitrate {
		return fmt.Errorf("bitrate %d bit/s: want %d to %d", int(b), MinBitrate, MaxBitrate)
	}
	return nil
}

func (c Config) check() error {
	if c.Width < 1 || c.Height < 1 || c.Width > MaxSide || c.Height > MaxSide {
		return fmt.Errorf("encoder: size %dx%d: want sides of 1 to %d pixels", c.Width, c.Height, MaxSide)
	}
	if c.FPS < 1 || c.FPS > 120 {
		return fmt.Errorf("encoder: %d fps: want 1 to 120", c.FPS)
	}
	if err := c.Bitrate.check(); err != nil {
		return fmt.Errorf("encoder: %w", err)
	}
	if c.Speed < -16 || c.Speed > -1 {
		return fmt.Errorf("encoder: speed %d: want -16 to -1", c.Speed)
	}
	if c.Threads < 0 || c.Threads > 4 {
		return fmt.Errorf("encoder: %d threads: want 1 to 4, or 0 for 1", c.Threads)
	}
	return nil
}

// MaxIntra bounds a key frame, in percent of an average frame, so that it
// fills at most half of the optimal buffer of 600 ms:
//
//	0.5 * 600 ms * FPS / 1000 ms * 100 %  =  30 * FPS
//
// and not below three average frames, as WebRTC's sender has it.
//
// On a path that carries less than it should, the three it is: a key frame of nine waits
// 300 ms at the bottleneck, and is asked for just when frames are late already.
func (c Config) MaxIntra(narrow bool) (percent int) {
	if narrow {
		return leastIntra
	}
	return max(leastIntra, 30*c.FPS)
}

// leastIntra is below which a key frame of a camera's picture is hardly one.
const leastIntra = 300

// The configuration of an encoder, validated before libvpx sees it. No cgo in here.

//go:build cgo

package encoder

import "fmt"

// A Bitrate is in bit/s.
type Bitrate int

// The bitrates that make sense. Below the minimum, frames of the smallest camera size at the
// coarsest quantizer are larger than the rate allows. The maximum is what a board's 100 Mbit/s
// network carries.
const (
	MinBitrate Bitrate = 10_000
	MaxBitrate Bitrate = 100_000_000
)

// MaxSide is the largest width and height in pixels. VP8 can express 16383 (RFC 6386 section 9.1),
// but 4096x4096 takes about 150 MB in libvpx already, and no board encodes more.
const MaxSide = 4096

// Config describes an encoder.
type Config struct {
	Width, Height int // pixels, 1 to MaxSide; odd sides are fine
	FPS           int // nominal frames in a second, 1 to 120
	Bitrate       Bitrate
	// Speed is libvpx's cpu-used, -1 (slow) to -16 (fast). With a positive value libvpx chooses a
	// speed, and its choice takes twice the time of -12 for the same quality (measured on amd64,
	// 640x480, 600 kbit/s).
	Speed int
	// Threads is 1 to 4; 0 means 1. libvpx's threads wait busily: at 640x480 two cost 1.7 times the
	// CPU of one and are no faster unless a core idles.
	Threads int
}

// String is for people: "640x480 30 fps 600 kbit/s".
func (c Config) String() string {
	return fmt.Sprintf("%dx%d %d fps %v", c.Width, c.Height, c.FPS, c.Bitrate)
}

// String is for people: "600 kbit/s".
func (b Bitrate) String() string { return fmt.Sprintf("%g kbit/s", float64(b)/1000) }

func (b Bitrate) validate() error {
	if b < MinBitrate || b > MaxBitrate {
		return fmt.Errorf("bitrate %d bit/s: want %d to %d", int(b), MinBitrate, MaxBitrate)
	}
	return nil
}

func (c Config) validate() error {
	if c.Width < 1 || c.Height < 1 || c.Width > MaxSide || c.Height > MaxSide {
		return fmt.Errorf("encoder: size %dx%d: want sides of 1 to %d pixels", c.Width, c.Height, MaxSide)
	}
	if c.FPS < 1 || c.FPS > 120 {
		return fmt.Errorf("encoder: %d fps: want 1 to 120", c.FPS)
	}
	if err := c.Bitrate.validate(); err != nil {
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

// minIntraPercent is the smallest limit of a key frame that still shows a camera's picture, in
// percent of an average frame. WebRTC's sender has the same.
const minIntraPercent = 300

// MaxIntraPercent is the limit of a key frame, in percent of an average frame. On a wide path a
// key frame may fill half of libvpx's optimal buffer of 600 ms:
//
//	0.5 * 600 ms * FPS / 1000 ms * 100 %  =  30 * FPS
//
// A narrow path carries less than the owner's rate. There the limit is minIntraPercent: at 30 fps
// a key frame of nine average frames would wait 300 ms at the bottleneck, and receivers ask for
// key frames just when frames are late already.
func (c Config) MaxIntraPercent(narrow bool) int {
	if narrow {
		return minIntraPercent
	}
	return max(minIntraPercent, 30*c.FPS)
}

// leastIntraPercent is the smallest limit of a key frame after a gap, in percent of a frame that
// gets the bits of the gap: with fewer it would be coarser than what is shown already.
const leastIntraPercent = 150

// maxIntraOf is the limit of a key frame whose span is length ticks, in percent of what libvpx
// gives a frame of that span. The limit is one of bits: libvpx's is in frames, so that after a gap
// of eight intervals a key frame of nine average frames had the bits of 2.4 s.
func (e *Encoder) maxIntraOf(length int64) int {
	percent := int64(e.maxIntra) * e.clock.interval / max(length, e.clock.interval)
	return max(int(percent), min(e.maxIntra, leastIntraPercent))
}

// Package bench measures what this machine can encode: sizes, speeds and threads in,
// rates, CPU of each stage, latency and picture quality out, and the setting to use.
//
// It is what `camsource bench` runs on a board, beside the pipeline: the same stages
// (encoder/convert, encoder, rtpsend) one after the other in one goroutine, over
// buffers in memory, as fast as they go. It owns the buffers and, while it runs, an
// encoder and two UDP sockets on loopback. CPU is the whole process's, the threads of
// libvpx included; times are in milliseconds, rates in bit/s unless a name says kbit.
package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A Size is in pixels.
type Size struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

func (s Size) String() string { return fmt.Sprintf("%dx%d", s.Width, s.Height) }

// Config says what to measure: each size with each speed with each number of threads.
type Config struct {
	Input   string // FILE.y4m, FILE.mjpeg, or "" for a drawn pattern
	Format  pixfmt.FourCC
	Sizes   []Size
	Speeds  []int // negative
	Threads []int
	Frames  int
	FPS     int
	Bitrate encoder.Bitrate // at 640x480; others get it in proportion to the square root of their pixels
	Version string          // of the program, for the report

	// Progress is told in a person's words what is done, several times a minute.
	Progress func(string)
	// Measured is called after each row with the report so far.
	Measured func(Report) error
}

// Defaults measures in a few minutes what an owner of a board chooses from.
func Defaults() Config {
	c := Config{
		Format: pixfmt.YUYV, Sizes: []Size{{320, 240}, {640, 480}, {1280, 720}}, Speeds: []int{-4, -8, -12, -16},
		Threads: []int{1}, Frames: 300, FPS: 30, Bitrate: 600_000,
	}
	if runtime.NumCPU() > 1 {
		c.Threads = []int{1, 2}
	}
	return c
}

// bitrate is what a size gets.
func (c Config) bitrate(s Size) encoder.Bitrate {
	share := math.Sqrt(float64(s.Width*s.Height) / (640 * 480))
	return min(max(encoder.Bitrate(float64(c.Bitrate)*share), encoder.MinBitrate), encoder.MaxBitrate)
}

// Run measures until all is done or ctx ends; then the report holds what was measured
// so far and says that it is not whole.
func Run(ctx context.Context, c Config) (Report, error) {
	r := newReport(c)
	defer func() { r.End = readMachine() }()
	total := len(c.Sizes) * len(c.Speeds) * len(c.Threads)
	for _, size := range c.Sizes {
		c.Progress(fmt.Sprintf("loading %v as %v", size, c.Format))
		clip, err := load(c.Input, c.Format, size, c.Frames)
		if err != nil {
			return r, err
		}
		for _, speed := range c.Speeds {
			for _, threads := range c.Threads {
				what := fmt.Sprintf("%d of %d: %v speed %d threads %d", len(r.Rows)+1, total, size, speed, threads)
				row, err := c.measure(ctx, clip, encoder.Config{
					Width: size.Width, Height: size.Height, FPS: c.FPS, Bitrate: c.bitrate(size), Speed: speed, Threads: threads,
				}, what)
				if err != nil {
					return r, err
				}
				if ctx.Err() != nil {
					r.Interrupted = true
					return r, nil
				}
				r.add(row)
				c.Progress(fmt.Sprintf("%s: %.0f fps, %.2f ms CPU, p99 %.2f ms, %.2f dB", what, row.FPS, row.CPU.All, row.Latency.P99, row.PSNR))
				if c.Measured != nil {
					if err := c.Measured(r); err != nil {
						return r, err
					}
				}
			}
		}
	}
	return r, nil
}

// still is how often Progress hears of a row that is being measured.
const still = 5 * time.Second

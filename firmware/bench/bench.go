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
	"github.com/krazycam/krazycam/firmware/config"
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

// Ask puts what a configuration names in the place of what is there.
func (c *Config) Ask(b config.Bench) {
	if len(b.Sizes) > 0 {
		c.Sizes = nil
		for _, s := range b.Sizes {
			c.Sizes = append(c.Sizes, Size(s))
		}
	}
	if len(b.Speeds) > 0 {
		c.Speeds = b.Speeds
	}
	if len(b.Threads) > 0 {
		c.Threads = b.Threads
	}
	if b.Frames > 0 {
		c.Frames = b.Frames
	}
}

// rows are all that is asked for, in the order in which they are measured.
func (c Config) rows() (all []Row) {
	for _, size := range c.Sizes {
		for _, speed := range c.Speeds {
			for _, threads := range c.Threads {
				all = append(all, Row{
					Size: size, Format: c.Format.String(), Speed: speed, Threads: threads, Bitrate: int(c.bitrate(size)), Frames: c.Frames,
				})
			}
		}
	}
	return all
}

// Begin gives kept if this program measured it on this machine and its rows are those,
// or the first of those, that c asks for: it is whole then, or Interrupted and for Resume
// to go on with, at the row of its Attempt. Of anything else it gives a report without rows.
func (c Config) Begin(kept Report) Report {
	fresh := newReport(c)
	rows := c.rows()
	if !kept.sameRun(fresh) || len(kept.Rows) > len(rows) {
		kept = fresh
	}
	for i, row := range kept.Rows {
		if row.wish() != rows[i] {
			kept = fresh
			break
		}
	}
	kept.attempt(rows[len(kept.Rows):])
	return kept
}

// bitrate is what a size gets.
func (c Config) bitrate(s Size) encoder.Bitrate {
	share := math.Sqrt(float64(s.Width*s.Height) / (640 * 480))
	return min(max(encoder.Bitrate(float64(c.Bitrate)*share), encoder.MinBitrate), encoder.MaxBitrate)
}

// Run measures until all is done or ctx ends; then the report holds what was measured
// so far and says that it is not whole.
func Run(ctx context.Context, c Config) (Report, error) { return c.Resume(ctx, newReport(c)) }

// Resume goes on behind the rows of r, which is one that Begin gave.
func (c Config) Resume(ctx context.Context, r Report) (Report, error) {
	var loaded *clip
	var size Size
	rows := c.rows()
	for i := len(r.Rows); i < len(rows); i++ {
		row := rows[i]
		r.attempt(rows[i:])
		if loaded == nil || row.Size != size {
			c.Progress(fmt.Sprintf("loading %v as %v", row.Size, c.Format))
			var err error
			if loaded, err = load(c.Input, c.Format, row.Size, c.Frames); err != nil {
				return r, err
			}
			size = row.Size
		}
		what := fmt.Sprintf("%d of %d: %v speed %d threads %d", i+1, len(rows), row.Size, row.Speed, row.Threads)
		if err := c.measure(ctx, loaded, &row, what); err != nil || ctx.Err() != nil {
			return r, err
		}
		r.add(row)
		r.attempt(rows[i+1:])
		if c.Measured != nil { // first: who reads of a row may pull the plug
			if err := c.Measured(r); err != nil {
				return r, err
			}
		}
		c.Progress(fmt.Sprintf("%s: %.0f fps, %.2f ms CPU, p99 %.2f ms, %.2f dB", what, row.FPS, row.CPU.All, row.Latency.P99, row.PSNR))
	}
	return r, nil
}

// still is how often Progress hears of a row that is being measured.
const still = 5 * time.Second

// Package bench measures what this machine can encode: sizes, speeds and threads in,
// rates, CPU of each stage, latency and picture quality out, and the setting to use.
//
// `camsource bench` runs it, without the pipeline: the same stages (encoder/convert, encoder,
// rtpsend) one after the other in one goroutine, over buffers in memory, as fast as they go.
// It owns the buffers and, while it runs, an encoder and two UDP sockets on loopback. CPU is
// that of the whole process, libvpx's threads included; times are in milliseconds, rates in
// bit/s unless a name says kbit.
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

	// Progress is called with a sentence for a person, several times a minute.
	Progress func(string)
	// Measured is called after each row with the report so far.
	Measured func(Report) error
}

// Defaults takes a few minutes on a PC and covers what an owner of a board chooses from.
func Defaults() Config {
	c := Config{
		Format: pixfmt.YUYV,
		Sizes:  []Size{{320, 240}, {640, 480}, {1280, 720}}, Speeds: []int{-4, -8, -12, -16},
		Threads: []int{1}, Frames: 300, FPS: 30, Bitrate: 600_000,
	}
	if runtime.NumCPU() > 1 {
		c.Threads = []int{1, 2}
	}
	return c
}

// Override takes what a configuration says in the place of what is there.
func (c *Config) Override(b config.Bench) {
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

// wantedRows are all rows in the order in which they are measured, without results.
func (c Config) wantedRows() (all []Row) {
	for _, size := range c.Sizes {
		for _, speed := range c.Speeds {
			for _, threads := range c.Threads {
				all = append(all, Row{
					Size: size, Format: c.Format.String(), Speed: speed, Threads: threads,
					Bitrate: int(c.bitrateOf(size)), Frames: c.Frames,
				})
			}
		}
	}
	return all
}

// Begun returns the report of a bench that has begun: all rows that c asks for, without
// results. It is what a bench that is cut off leaves behind.
func (c Config) Begun() Report {
	r := newReport(c)
	r.Rows = c.wantedRows()
	return r
}

// bitrateOf scales the bitrate by the root of a size's pixels.
func (c Config) bitrateOf(s Size) encoder.Bitrate {
	share := math.Sqrt(float64(s.Width*s.Height) / (640 * 480))
	return min(max(encoder.Bitrate(float64(c.Bitrate)*share), encoder.MinBitrate), encoder.MaxBitrate)
}

// Run measures until all is done or ctx ends. In the second case the report holds what was
// measured so far and is Interrupted.
func Run(ctx context.Context, c Config) (Report, error) {
	var loaded *clip
	var size Size
	r, rows := newReport(c), c.wantedRows()
	for i, row := range rows {
		if loaded == nil || row.Size != size {
			c.Progress(fmt.Sprintf("loading %v as %v", row.Size, c.Format))
			var err error
			if loaded, err = loadClip(c.Input, c.Format, row.Size, c.Frames); err != nil {
				return r, err
			}
			size = row.Size
		}
		what := fmt.Sprintf("%d of %d: %v speed %d threads %d", i+1, len(rows), row.Size, row.Speed, row.Threads)
		if err := c.measure(ctx, loaded, &row, what); err != nil || ctx.Err() != nil {
			return r, err
		}
		r.addRow(row)
		r.Interrupted = i+1 < len(rows)
		if c.Measured != nil {
			if err := c.Measured(r); err != nil {
				return r, err
			}
		}
		c.Progress(fmt.Sprintf("%s: %.0f fps, %.2f ms CPU, p99 %.2f ms, %.2f dB",
			what, row.FPS, row.CPU.All, row.Latency.P99, row.PSNR))
	}
	return r, nil
}

// progressInterval is how often Progress is called while a row is being measured.
const progressInterval = 5 * time.Second

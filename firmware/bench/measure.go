// One row: the stages over a clip, timed; then once more for the picture's quality.

package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/encoder/convert"
	"github.com/krazycam/krazycam/firmware/rtpsend"
	"github.com/krazycam/krazycam/v4l2"
)

// warmUp pictures are not timed: caches and the rate control settle, and the first key frame
// takes five times as long as another frame.
const warmUp = 10

// A rig is the stages of one row.
type rig struct {
	clip      *clip
	converter *convert.Converter
	picture   *encoder.Picture
	encoder   *encoder.Encoder
	interval  time.Duration
}

func newRig(cl *clip, e encoder.Config) (r *rig, err error) {
	r = &rig{clip: cl, interval: time.Second / time.Duration(e.FPS)}
	if r.converter, err = convert.New(cl.layout); err != nil {
		return nil, err
	}
	if r.picture, err = encoder.NewPicture(e.Width, e.Height); err == nil {
		r.encoder, err = encoder.New(e)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) close() {
	r.converter.Close()
	if r.picture != nil {
		r.picture.Close()
	}
	if r.encoder != nil {
		r.encoder.Close()
	}
}

func (r *rig) convertBuffer(n int) error {
	return r.converter.Convert(&r.picture.YCbCr, r.clip.bufferAt(n))
}

func (r *rig) encodePicture(n int) (encoder.Frame, error) {
	return r.encoder.Encode(&r.picture.YCbCr, time.Duration(n)*r.interval, false)
}

// measure fills in the results of a row. They are not complete if ctx ended meanwhile.
func (c Config) measure(ctx context.Context, cl *clip, row *Row, what string) error {
	e := encoder.Config{
		Width: row.Size.Width, Height: row.Size.Height, FPS: c.FPS,
		Bitrate: encoder.Bitrate(row.Bitrate), Speed: row.Speed, Threads: row.Threads,
	}
	reported := v4l2.Now()
	report := func(pass string, n int) {
		if now := v4l2.Now(); now-reported >= progressInterval {
			reported = now
			c.Progress(fmt.Sprintf("%s: %s %d of %d pictures", what, pass, n, c.Frames))
		}
	}
	err := c.measureTimes(ctx, cl, e, row, func(n int) { report("timed", n) })
	if err != nil || ctx.Err() != nil {
		return err
	}
	return c.measureQuality(ctx, cl, e, row, func(n int) { report("judged", n) })
}

// measureTimes fills in all but the quality.
func (c Config) measureTimes(ctx context.Context, cl *clip, e encoder.Config, row *Row, report func(int)) error {
	r, err := newRig(cl, e)
	if err != nil {
		return err
	}
	defer r.close()
	sink, closeSink, err := openSink()
	if err != nil {
		return err
	}
	defer closeSink()
	t := timing{latency: make([]time.Duration, 0, c.Frames)}
	start := v4l2.Now()
	for n := 0; n < c.Frames+warmUp && ctx.Err() == nil; n++ {
		if n == warmUp {
			t, start = timing{latency: t.latency[:0]}, v4l2.Now()
		}
		if err := t.timePicture(r, sink, n); err != nil {
			return err
		}
		report(n)
	}
	t.fillRow(row, v4l2.Now()-start, e.FPS)
	return nil
}

// A timing sums up what pictures took.
type timing struct {
	latency        []time.Duration
	cpu            [3]time.Duration // convert, encode, send
	bytes, dropped int
}

// timePicture takes picture n through all stages.
func (t *timing) timePicture(r *rig, sink *rtpsend.Sender, n int) error {
	start, cpu := v4l2.Now(), processCPU()
	spent := func(stage int) {
		now := processCPU()
		t.cpu[stage] += now - cpu
		cpu = now
	}
	if err := r.convertBuffer(n); err != nil {
		return err
	}
	spent(0)
	f, err := r.encodePicture(n)
	if err != nil {
		return err
	}
	spent(1)
	if err := sink.Send(f.Bytes, f.Key, start); err != nil {
		return err
	}
	spent(2)
	t.bytes += len(f.Bytes)
	if len(f.Bytes) == 0 {
		t.dropped++
	}
	t.latency = append(t.latency, v4l2.Now()-start)
	return nil
}

func (t *timing) fillRow(row *Row, took time.Duration, fps int) {
	n := float64(len(t.latency))
	if n == 0 {
		return
	}
	each := func(d time.Duration) float64 { return milliseconds(d) / n }
	row.Frames, row.Dropped = len(t.latency), t.dropped
	row.FPS = n / took.Seconds()
	row.CPU = CPU{
		Convert: each(t.cpu[0]), Encode: each(t.cpu[1]), Send: each(t.cpu[2]),
		All: each(t.cpu[0] + t.cpu[1] + t.cpu[2]),
	}
	row.Kbit = float64(t.bytes) * 8 * float64(fps) / n / 1000
	slices.Sort(t.latency)
	row.Latency = Latency{
		P50: milliseconds(t.latency[len(t.latency)/2]),
		P99: milliseconds(t.latency[len(t.latency)*99/100]),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// measureQuality fills in the mean PSNR over the same pictures.
func (c Config) measureQuality(ctx context.Context, cl *clip, e encoder.Config, row *Row, report func(int)) error {
	r, err := newRig(cl, e)
	if err != nil {
		return err
	}
	defer r.close()
	sum, count := 0.0, 0
	for n := 0; n < c.Frames+warmUp && ctx.Err() == nil; n++ {
		if err := r.convertBuffer(n); err != nil {
			return err
		}
		f, err := r.encodePicture(n)
		if err != nil {
			return err
		}
		db, err := r.encoder.MeasurePSNR(&r.picture.YCbCr)
		if err != nil {
			return err
		}
		if n >= warmUp && len(f.Bytes) > 0 {
			sum, count = sum+db, count+1
		}
		report(n)
	}
	row.PSNR = math.Round(sum/float64(max(count, 1))*100) / 100
	return nil
}

// openSink gives a sender to two sockets that nobody reads. The kernel drops what comes when
// their queues are full, so a packet costs what it costs on a wire, except for the driver.
func openSink() (*rtpsend.Sender, func(), error) {
	var conns [2]net.PacketConn
	closeAll := func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}
	var to [2]netip.AddrPort
	for i := range conns {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		conns[i], to[i] = c, c.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	s, err := rtpsend.Open(rtpsend.Config{
		RTP: to[0], RTCP: to[1], CNAME: "camsource@bench", Monotonic: v4l2.Now,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	return s, func() { s.Close(); closeAll() }, nil
}

// processCPU is the user and system time of all threads so far.
func processCPU() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0 // no Linux lacks this clock
	}
	return time.Duration(ts.Nano())
}

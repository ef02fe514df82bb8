// What to use, and what has changed. Arithmetic on rows only.

package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

const (
	// maxLoad is the share of the time between pictures that a picture may take on average:
	// at 85 % the overload controller cuts the frame rate, and a scene with motion takes a
	// third more than a quiet one (measured: 1500 against 600 kbit/s, +24 %).
	maxLoad = 0.6
	// minGain is the dB that a slower setting must bring to be recommended.
	minGain = 0.2
)

// recommend picks the largest size that this machine encodes at fps within maxLoad, and for
// it the cheapest setting whose picture is as good as any. It gives nil if there is none.
func recommend(rows []Row, fps int) *Row {
	interval := 1000 / float64(fps)
	var fit []Row
	for _, r := range rows {
		if r.FPS > 0 && 1000/r.FPS <= maxLoad*interval && r.Latency.P99 <= interval {
			fit = append(fit, r)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	pixels := func(r Row) int { return r.Size.Width * r.Size.Height }
	most := pixels(slices.MaxFunc(fit, func(a, b Row) int { return cmp.Compare(pixels(a), pixels(b)) }))
	fit = slices.DeleteFunc(fit, func(r Row) bool { return pixels(r) < most })
	best := slices.MaxFunc(fit, func(a, b Row) int { return cmp.Compare(a.PSNR, b.PSNR) }).PSNR
	fit = slices.DeleteFunc(fit, func(r Row) bool { return r.PSNR < best-minGain })
	cheapest := slices.MinFunc(fit, func(a, b Row) int { return cmp.Compare(a.CPU.All, b.CPU.All) })
	return &cheapest
}

// advice is the recommendation in words.
func (r Report) advice() string {
	if r.Recommended == nil {
		fastest := slices.MaxFunc(r.Rows, func(a, b Row) int { return cmp.Compare(a.FPS, b.FPS) })
		return fmt.Sprintf("recommended: nothing here keeps up with %d fps; %v speed %d threads %d would with %d",
			r.FPS, fastest.Size, fastest.Speed, fastest.Threads, max(1, int(maxLoad*fastest.FPS)))
	}
	b := r.Recommended
	return fmt.Sprintf("recommended: %v at %d fps, speed %d, threads %d: "+
		"a picture takes %.0f %% of its time, p99 %.0f %%",
		b.Size, r.FPS, b.Speed, b.Threads, 100*float64(r.FPS)/b.FPS, b.Latency.P99*float64(r.FPS)/10)
}

// Compare writes the ratio of b to a for each setting that both have. What makes the
// comparison doubtful comes first.
func Compare(w io.Writer, a, b Report) error {
	for _, d := range []struct{ what, a, b string }{
		{"model", a.Model, b.Model}, {"input", a.Input, b.Input}, {"version", a.Version, b.Version},
		{"clock at the end", a.End.String(), b.End.String()},
	} {
		if d.a != d.b {
			fmt.Fprintf(w, "another %s: %s, then %s\n", d.what, d.a, d.b)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "size\tformat\tspeed\tthreads\tfps\tCPU\tp50\tp99\tkbit/s\tPSNR-Y\t")
	common := 0
	for _, x := range a.Rows {
		i := slices.IndexFunc(b.Rows, func(y Row) bool { return y.setting() == x.setting() })
		if i < 0 {
			continue
		}
		common++
		y := b.Rows[i]
		fmt.Fprintf(t, "%v\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%+.2f dB\t\n",
			x.Size, x.Format, x.Speed, x.Threads, ratio(y.FPS, x.FPS), ratio(y.CPU.All, x.CPU.All),
			ratio(y.Latency.P50, x.Latency.P50), ratio(y.Latency.P99, x.Latency.P99),
			ratio(y.Kbit, x.Kbit), y.PSNR-x.PSNR)
	}
	if common == 0 {
		return fmt.Errorf("compare: no size, format, speed and threads that both have")
	}
	return t.Flush()
}

func ratio(b, a float64) string {
	if a == 0 {
		return "?"
	}
	return fmt.Sprintf("%.2fx", b/a)
}

// setting is what makes rows comparable.
func (r Row) setting() Row {
	return Row{Size: r.Size, Format: r.Format, Speed: r.Speed, Threads: r.Threads, Bitrate: r.Bitrate}
}

// withoutResult is what was asked for.
func (r Row) withoutResult() Row {
	w := r.setting()
	w.Frames = r.Frames
	return w
}

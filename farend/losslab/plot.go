//go:build linux

// The plot: runs of one scenario over time as SVG, one column for each sender. Pure.

package losslab

import (
	"fmt"
	"io"
	"strings"
)

// A curve is one line of a panel.
type curve struct {
	name, colour string
	width        float64
	values       []float64
	zeroIsNone   bool // 0 means that there was nothing to measure
}

// A panel is one row of the plot: what it shows of a run.
type panel struct {
	title  string
	curves func(Result) []curve
}

var panels = []panel{
	{"bitrate, kbit/s", func(r Result) []curve {
		return []curve{
			{"link", "#ccc", 5, linkRate(r), false},
			{"sent", "#1f77b4", 1.3, r.Series.Sent, false},
			{"arrived", "#2ca02c", 1.3, r.Series.Came, false},
		}
	}},
	{"packets a second", func(r Result) []curve {
		return []curve{
			{"lost", "#d62728", 1.3, perSecond(r.Series.Lost, r.Series.Step), false},
			{"sent again", "#9467bd", 1.3, perSecond(r.Series.Resent, r.Series.Step), false},
		}
	}},
	{"delay, ms", func(r Result) []curve {
		return []curve{
			{"of packets, above the fastest", "#ff7f0e", 1.3, r.Series.Queue, true},
			{"of pictures, to decoded", "#8c564b", 1.3, r.Series.Delay, true},
		}
	}},
	{"new pictures a second whose number can be read", func(r Result) []curve {
		return []curve{{"pictures", "#1f77b4", 1.3, perSecond(r.Series.Pictures, r.Series.Step), false}}
	}},
}

// perSecond turns counts of a step into counts of a second.
func perSecond(counts []int, step float64) []float64 {
	out := make([]float64, len(counts))
	for i, n := range counts {
		out[i] = float64(n) / step
	}
	return out
}

// linkRate is the bottleneck's rate over time, nil if there is none.
func linkRate(r Result) []float64 {
	if r.Bottleneck == nil {
		return nil
	}
	out := make([]float64, len(r.Series.Sent))
	for i := range out {
		for _, s := range r.Bottleneck.Steps {
			if s.At.Seconds() <= float64(i)*r.Series.Step {
				out[i] = float64(s.Rate) / 1000
			}
		}
	}
	return out
}

// Pixels of the plot.
const (
	plotLeft, plotTop     = 60, 84
	panelWide, panelHigh  = 460, 130
	panelRight, panelDown = 40, 44 // gaps
)

// Plot draws the runs, which are of one scenario. Panels of a row have one scale.
func Plot(w io.Writer, s Scenario, runs []Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" `+
		`font-family="sans-serif" font-size="12">`+"\n",
		plotLeft+len(runs)*(panelWide+panelRight), plotTop+len(panels)*(panelHigh+panelDown)+10)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="16">%s: %s</text>`+"\n", plotLeft, s.Name, escapeXML(s.What))
	longest := 0.0
	for _, r := range runs {
		longest = max(longest, float64(len(r.Series.Sent))*r.Series.Step)
	}
	for column, r := range runs {
		x := plotLeft + column*(panelWide+panelRight)
		fmt.Fprintf(&b, `<text x="%d" y="42" font-weight="bold">%s</text>`, x, escapeXML(r.plotTitle()))
		fmt.Fprintf(&b, `<text x="%d" y="58" font-size="11">%s</text>`+"\n", x, escapeXML(r.plotCaption()))
		for i, p := range panels {
			y := plotTop + i*(panelHigh+panelDown)
			drawPanel(&b, p, r, x, y, longest, scaleTop(p, runs))
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Result) plotTitle() string {
	if r.Bottleneck == nil {
		return fmt.Sprintf("%s, seed %d", r.Sender, r.Seed)
	}
	return fmt.Sprintf("%s, seed %d: queue over 300 ms for %.1f s", r.Sender, r.Seed, r.Bottleneck.Over)
}

func (r Result) plotCaption() string {
	return fmt.Sprintf("%.1f %% of %d pictures decoded, %.1f %% intact, p95 %.0f ms (age %.0f), freeze %.0f ms",
		100*r.ShownShare(), r.Sent, 100*r.IntactShare(), 1000*r.P95, 1000*r.Age95, 1000*r.Freeze)
}

// scaleTop is the top of a row's scale: above every value, and round in quarters.
func scaleTop(p panel, runs []Result) float64 {
	top := 1.0
	for _, r := range runs {
		for _, c := range p.curves(r) {
			for _, v := range c.values {
				top = max(top, v)
			}
		}
	}
	step := 1.0
	for {
		for _, n := range []float64{1, 1.2, 1.6, 2, 3, 4, 6, 8} {
			if n*step >= top {
				return n * step
			}
		}
		step *= 10
	}
}

func drawPanel(b *strings.Builder, p panel, r Result, x, y int, longest, top float64) {
	px := func(seconds float64) float64 { return float64(x) + seconds/longest*panelWide }
	py := func(v float64) float64 { return float64(y+panelHigh) - v/top*panelHigh }
	for i := range 5 {
		v := top * float64(i) / 4
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, x, x+panelWide, py(v), py(v))
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n", x-4, py(v)+4, v)
	}
	for s := 0.0; s <= longest; s += 5 {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#666">%g</text>`+"\n",
			px(s), y+panelHigh+14, s)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", x, y-4, escapeXML(p.title))
	at := x + panelWide
	for _, c := range p.curves(r) {
		if len(c.values) == 0 {
			continue
		}
		at -= 7*len(c.name) + 12
		fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n", at, y-4, c.colour, escapeXML(c.name))
		fmt.Fprintf(b, `<path fill="none" stroke="%s" stroke-width="%g" d="%s"/>`+"\n",
			c.colour, c.width, c.svgPath(r.Series.Step, px, py))
	}
}

// svgPath draws each step as a flat piece, so that one that stands out is seen.
func (c curve) svgPath(step float64, px, py func(float64) float64) string {
	var b strings.Builder
	pen := "M"
	for i, v := range c.values {
		if c.zeroIsNone && v == 0 {
			pen = "M"
			continue
		}
		fmt.Fprintf(&b, "%s%.1f %.1f H%.1f", pen, px(float64(i)*step), py(v), px(float64(i+1)*step))
		pen = " L"
	}
	return b.String()
}

func escapeXML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

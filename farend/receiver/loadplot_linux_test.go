package receiver

import (
	"bytes"
	"fmt"
)

// plotLoad draws CPU and memory over the number of streams, ours beside Janus'.
func plotLoad(all []loadResult) []byte {
	const left, top, wide, high, gap = 70, 50, 380, 220, 90
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" `+
		`font-size="12">`+"\n"+`<rect width="100%%" height="100%%" fill="white"/>`+"\n",
		left+2*wide+gap+30, top+high+70)
	most := 1
	for _, r := range all {
		most = max(most, r.streams)
	}
	for column, panel := range []struct {
		title       string
		ours, janus func(loadResult) float64
	}{
		{"processor, % of one core", func(r loadResult) float64 { return r.cpu * 100 },
			func(r loadResult) float64 { return r.janusCPU * 100 }},
		{"memory, MB of all streams", func(r loadResult) float64 { return r.memory * float64(r.streams) / (1 << 20) },
			func(r loadResult) float64 { return r.janusMemory * float64(r.streams) / (1 << 20) }},
	} {
		x, highest := left+column*(wide+gap), 1.0
		for _, r := range all {
			highest = max(highest, panel.ours(r), panel.janus(r))
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", x, top-14, panel.title)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#ccc"/>`+"\n",
			x, top, wide, high)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%.0f</text>`+
			`<text x="%d" y="%d" text-anchor="end">0</text>`+"\n", x-6, top+10, highest, x-6, top+high)
		for i, line := range []struct {
			name, colour string
			value        func(loadResult) float64
		}{{"this receiver", "#1f77b4", panel.ours}, {"Janus without viewers", "#ff7f0e", panel.janus}} {
			fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, line.colour)
			for _, r := range all {
				fmt.Fprintf(&b, "%.1f,%.1f ", float64(x)+float64(wide*r.streams)/float64(most),
					float64(top+high)-float64(high)*line.value(r)/highest)
			}
			fmt.Fprintf(&b, `"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n", x+8, top+18+16*i, line.colour, line.name)
		}
		for _, r := range all {
			fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%d</text>`+"\n",
				x+wide*r.streams/most, top+high+18, r.streams)
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">streams of 300 kbit/s</text>`+"\n",
			x+wide/2, top+high+38)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

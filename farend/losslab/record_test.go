//go:build linux

package losslab

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func result(scenario, sender string, seed int64) Result {
	r := measureRun(Scenario{Name: scenario, Length: 2 * second,
		Steps: []Step{{0, 1e6}, {500 * ms, 4e5}, {time.Second, 1e6}}}, film(90, nil))
	r.Sender, r.Seed = sender, seed
	return r
}

func TestRecordKeepsOneRunOfAKindAndDrawsBothSenders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "docs")
	worse := result("loss5", Camsource, 1)
	worse.Shown = 1
	for _, r := range []Result{worse, result("loss5", GStreamer, 1), result("clean", Camsource, 1),
		result("loss5", Camsource, 2), result("loss5", Camsource, 1)} {
		if err := Record(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	all, err := ReadRuns(strings.NewReader(read(runsFile)))
	if err != nil || len(all) != 4 {
		t.Fatalf("%d runs, %v, want 4", len(all), err)
	}
	order := ""
	for _, r := range all {
		order += r.Scenario + " " + r.Sender + ", "
	}
	if want := "clean camsource, loss5 camsource, loss5 gstreamer, loss5 camsource, "; order != want ||
		all[1].Shown != 61 {
		t.Errorf("order %q, want %q; %d shown in the newer run, want 61", order, want, all[1].Shown)
	}
	if n := strings.Count(read("table.txt"), "\n"); n != 5 {
		t.Errorf("table of %d lines, want heading and 4", n)
	}
	if svg := read("loss5.svg"); !strings.Contains(svg, "camsource, seed 1") ||
		!strings.Contains(svg, "gstreamer, seed 1") || strings.Contains(svg, "seed 2") {
		t.Error("want both senders of seed 1 in the plot, and no other")
	}
}

func TestPlotIsWellFormedAndKeepsCurvesInsideTheirPanel(t *testing.T) {
	var b bytes.Buffer
	r := result("bottleneck-avp", Camsource, 1)
	if err := Plot(&b, Scenario{Name: "x", What: "a < b & c"}, []Result{r, r}); err != nil {
		t.Fatal(err)
	}
	paths := 0
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			paths++
		}
	}
	if want := 2 * 8; paths != want { // link, sent, arrived; lost, again; two delays; pictures
		t.Errorf("%d curves, want %d", paths, want)
	}
	for _, p := range panels {
		top := scaleTop(p, []Result{r})
		for _, c := range p.curves(r) {
			for _, v := range c.values {
				if v > top {
					t.Errorf("%s: %v above the scale's %v", c.name, v, top)
				}
			}
		}
	}
}

func TestAHoleInADelayIsNoZero(t *testing.T) {
	same := func(v float64) float64 { return v }
	c := curve{values: []float64{5, 0, 7, 8}, zeroIsNone: true}
	if got, want := c.svgPath(1, same, same), "M0.0 5.0 H1.0M2.0 7.0 H3.0 L3.0 8.0 H4.0"; got != want {
		t.Errorf("path = %q, want %q", got, want)
	}
}

func TestReadRunsNamesTheRunThatIsBroken(t *testing.T) {
	if _, err := ReadRuns(strings.NewReader("{}\n{]")); err == nil || !strings.Contains(err.Error(), "run 2") {
		t.Errorf("ReadRuns = %v, want an error about run 2", err)
	}
}

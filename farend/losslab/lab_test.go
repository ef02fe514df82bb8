//go:build linux

// The stream over bad links, into GStreamer's receiver: camsource as it is built, in
// namespaces of our own. Short runs, one seed each; KRAZYCAM_LONG=1 takes every scenario
// at its full length with all seeds, GStreamer's own sender beside.

package losslab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// output is what a command says on standard output.
func output(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// setUp builds camsource from this tree and writes a clip for the scenarios.
func setUp(t *testing.T, scenarios []Scenario) Setup {
	t.Helper()
	need.Tools(t, "ip", "tc", "gst-launch-1.0", "ffmpeg", "npm")
	need.Root(t, "for network namespaces")
	dir, remove, err := MakeWorkFolder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	s := Setup{Dir: dir, Camsource: filepath.Join(dir, "camsource")}
	output(t, exec.Command("go", "build", "-o", s.Camsource, "../../firmware/cmd/camsource"))
	film := output(t, exec.Command("../../scripts/clip", "face", "640x480", "900"))
	if s.Clip, err = WriteClipFor(dir, film, scenarios); err != nil {
		t.Fatal(err)
	}
	return s
}

// find is one scenario.
func find(t *testing.T, name string) Scenario {
	t.Helper()
	s, err := FindScenarios(name)
	if err != nil {
		t.Fatal(err)
	}
	return s[0]
}

// describeRun says in words what a line of the table says.
func describeRun(r Result) string {
	s := fmt.Sprintf("%s, %s, seed %d: %.1f %% of %d pictures decoded, %.1f %% intact, ",
		r.Scenario, r.Sender, r.Seed, 100*r.ShownShare(), r.Sent, 100*r.IntactShare())
	s += fmt.Sprintf("delay p50 %.0f p95 %.0f max %.0f ms, age p95 %.0f ms, longest freeze %.0f ms, ",
		1000*r.P50, 1000*r.P95, 1000*r.Max, 1000*r.Age95, 1000*r.Freeze)
	s += fmt.Sprintf("%d key frames, %d of %d packets lost, %d sent again, %.0f kbit/s",
		r.Keys, r.Lost, r.Packets, r.Resends, r.Rate/1000)
	if b := r.Bottleneck; b != nil {
		s += fmt.Sprintf(", queue over 300 ms for %.1f s, back at 90 %% of %.0f kbit/s after %.1f s",
			b.Over, b.Before/1000, b.Back)
	}
	return s
}

func run(t *testing.T, setup Setup, s Scenario, sender string, seed int64) Result {
	t.Helper()
	r, err := Run(t.Context(), setup, s, sender, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("FIGURE losslab %s", describeRun(r))
	return r
}

// A demand is what issue and README promise of a scenario.
type demand struct {
	share        float64 // of sent pictures that must be decoded
	freeze       float64 // seconds
	over, backIn float64 // seconds; 0: no bottleneck
}

var demands = map[string]demand{
	"clean":           {share: 1, freeze: 1},
	"loss5":           {share: 0.97, freeze: 2},
	"jitter":          {share: 0.95, freeze: 2},
	"bottleneck-twcc": {freeze: 1, over: 2, backIn: 10},
	"bottleneck-avp":  {freeze: 1, over: 8, backIn: 10},
}

// starved tells that the sender got too little of the processor for the run to say
// something about the link, which without a bottleneck makes no picture be left out.
func (r Result) starved() bool { return r.Bottleneck == nil && r.Sent < r.Source*95/100 }

func (d demand) check(t *testing.T, r Result) {
	t.Helper()
	if r.ShownShare() < d.share {
		t.Errorf("%.1f %% of %d pictures decoded, want %.0f", 100*r.ShownShare(), r.Sent, 100*d.share)
	}
	if r.Freeze > d.freeze {
		t.Errorf("no new picture for %.2f s, want at most %.0f", r.Freeze, d.freeze)
	}
	if b := r.Bottleneck; b != nil && (b.Over > d.over || b.Back < 0 || b.Back > d.backIn) {
		t.Errorf("queue over 300 ms for %.1f s, back after %.1f s, want at most %.0f and %.0f", b.Over, b.Back,
			d.over, d.backIn)
	}
	if r.starved() {
		t.Errorf("%d pictures sent of the %d of the clip: too few to speak of a share", r.Sent, r.Source)
	}
	if strings.HasPrefix(r.Scenario, "loss") && (r.Lost < r.Packets/50 || r.Resends == 0) {
		t.Errorf("%d of %d packets lost, %d sent again: this was no bad link", r.Lost, r.Packets, r.Resends)
	}
}

func TestLossLabCamsourceKeepsThePictureOnBadLinks(t *testing.T) {
	// The receiver's rtpbin asks too late for what is lost in its first 7 s: of 8 s camsource shows 95.9 % in
	// jitter, with a standard error of 0.6, of 14 s 97.1.
	scenarios := []Scenario{find(t, "loss5").Lasting(10 * time.Second), find(t, "jitter").Lasting(16 * time.Second)}
	long := os.Getenv("KRAZYCAM_LONG") != ""
	if long {
		scenarios = nil
		for _, s := range Scenarios() {
			if _, ok := demands[s.Name]; ok {
				scenarios = append(scenarios, s)
			}
		}
	}
	setup := setUp(t, scenarios)
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			if !long {
				r := run(t, setup, s, Camsource, 1)
				for try := 1; r.starved() && try < 3; try++ {
					t.Logf("%d of %d pictures were sent: this machine had no time; once more", r.Sent, r.Source)
					r = run(t, setup, s, Camsource, 1)
				}
				demands[s.Name].check(t, r)
				return
			}
			runs := map[string][]Result{}
			for _, seed := range s.Seeds {
				for _, sender := range s.Senders() {
					r := run(t, setup, s, sender, seed)
					if sender != GStreamer {
						demands[s.Name].check(t, r)
					}
					runs[sender] = append(runs[sender], r)
				}
			}
			for _, sender := range s.Senders() { // the default and RFC 4588: neither may hide behind the other
				if sender != GStreamer {
					t.Run(sender, func(t *testing.T) { notWorse(t, runs[sender], runs[GStreamer]) })
				}
			}
		})
	}
}

// notWorse compares means over the seeds. The margins are what two runs of one sender
// differ by: two pictures, 5 % of a delay and 10 ms of a busy machine.
func notWorse(t *testing.T, ours, theirs []Result) {
	t.Helper()
	mean := func(all []Result, of func(Result) float64) (m float64) {
		for _, r := range all {
			m += of(r) / float64(len(all))
		}
		return m
	}
	intact := func(r Result) float64 { return float64(r.Intact) / float64(r.Source) }
	if o, g := mean(ours, intact), mean(theirs, intact); o < g-0.002 {
		t.Errorf("%.1f %% of the clip's pictures came intact, with GStreamer's sender %.1f", 100*o, 100*g)
	}
	p95 := func(r Result) float64 { return r.P95 }
	if o, g := mean(ours, p95), mean(theirs, p95); o > g*1.05+0.01 {
		t.Errorf("p95 delay %.0f ms, with GStreamer's sender %.0f", 1000*o, 1000*g)
	}
	age := func(r Result) float64 { return r.Age95 }
	if o, g := mean(ours, age), mean(theirs, age); o > g*1.05+0.01 {
		t.Errorf("p95 of the age of what is shown %.0f ms, with GStreamer's sender %.0f", 1000*o, 1000*g)
	}
	freeze := func(r Result) float64 { return r.Freeze }
	if o, g := mean(ours, freeze), mean(theirs, freeze); o > g+2*pictureInterval.Seconds() {
		t.Errorf("longest freeze %.0f ms, with GStreamer's sender %.0f", 1000*o, 1000*g)
	}
}

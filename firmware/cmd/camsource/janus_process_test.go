// The way into a browser: camsource sends to Janus, Chromium watches Janus' mountpoint by
// WebRTC, all three as they are. Configuration and page are those of docs/janus; ICE needs
// an interface that is not the loopback and, in Chromium, a default route, so Janus and
// Chromium live at the far end of a cable.

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const manual = "../../../docs/janus"

// A viewing is what one viewer of testdata/probe.html tells.
type viewing struct {
	who    string
	Error  string
	Waited float64 // ms from the first request to Janus until a picture was on the page
	Stats  struct {
		PacketsLost, FramesDecoded, KeyFramesDecoded, FrameWidth, FrameHeight, FramesDropped, FreezeCount int
		JitterBufferDelay                                                                                 float64 // s, of all pictures
		JitterBufferEmittedCount                                                                          int
	}
	First, Last string // PNG in base64
}

func TestProcessStreamsThroughJanusToChromium(t *testing.T) {
	y := newYard(t, "janus", "chromium", "dumpcap", "tshark", "ss")
	y.ip("-n", y.theirs, "route", "add", "default", "via", "10.79.0.1")
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // else only root gets there, and camsource ceases to be it
		t.Fatal(err)
	}
	clip := filepath.Join(dir, "bars.y4m")
	writeBars(t, clip)
	y.run(y.theirs, y.log("janus"), "janus", "--disable-colors", "--configs-folder", dir, "--config", configureJanus(t, dir))
	y.await("Janus' web server", func() bool {
		return strings.Contains(y.output(y.theirs, "ss", "-ltnH"), ":8088")
	})
	record := filepath.Join(dir, "wire.pcapng")
	recorded := y.record(record)
	y.run(y.ours, y.log("camsource"), program(t), "--camera", clip, "--rtp", firstAddress+":5004", "--rtcp", firstAddress+":5005")
	y.await("the stream", func() bool { return strings.Contains(y.said("camsource"), "camsource READY ") })
	time.Sleep(2 * time.Second) // whoever comes now has missed the key frame at the start

	viewings := y.browse("first", "late")
	for name, v := range viewings {
		checkViewing(t, name, v)
	}
	recorded()
	checkKeyFrames(t, record)
	if t.Failed() {
		for _, who := range []string{"janus", "camsource", "chromium"} {
			t.Logf("%s said:\n%s", who, y.said(who))
		}
	}
}

// configureJanus copies docs/janus and tells Janus where its own parts are: scripts/setup
// only unpacks it, for installed it would start with the machine.
func configureJanus(t *testing.T, dir string) (main string) {
	t.Helper()
	program, err := exec.LookPath("janus")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(filepath.Dir(program), "../lib/*/janus"))
	if err != nil || len(parts) != 1 {
		t.Fatalf("parts of %s: %v, %v", program, parts, err)
	}
	files, err := filepath.Glob(filepath.Join(manual, "*.jcfg"))
	if err != nil || len(files) != 3 {
		t.Fatalf("configuration in %s: %v, %v", manual, files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.Base(f))
		if filepath.Base(f) == "janus.jcfg" {
			main = to
			b = []byte(strings.Replace(string(b), "general: {", fmt.Sprintf("general: {\n\tplugins_folder = %q\n\ttransports_folder = %q", parts[0]+"/plugins", parts[0]+"/transports"), 1))
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return main
}

// browse runs Chromium until each viewer has told what it saw.
func (y *yard) browse(viewers ...string) map[string]viewing {
	y.t.Helper()
	reports, page := y.serve()
	profile, err := os.MkdirTemp("", "krazycam-chromium-") // not TempDir: a helper of Chromium's may write while that is removed
	if err != nil {
		y.t.Fatal(err)
	}
	defer os.RemoveAll(profile)
	stop := y.run(y.theirs, y.log("chromium"), "chromium", "--no-sandbox", "--headless=new", "--disable-gpu", "--disable-breakpad", "--user-data-dir="+profile,
		fmt.Sprintf("%s?janus=http://%s:8088/janus&id=1&pictures=60", page, firstAddress))
	defer stop()
	all := map[string]viewing{}
	limit := time.After(60 * time.Second)
	for range viewers {
		select {
		case v := <-reports:
			if v.Error != "" {
				y.t.Fatalf("%s: %s", v.who, v.Error)
			}
			all[v.who] = v
		case <-limit:
			y.t.Fatalf("viewers that have told: %d of %d in 60 s\nJanus said:\n%s\nChromium said:\n%s", len(all), len(viewers), y.said("janus"), y.said("chromium"))
		}
	}
	return all
}

// serve serves testdata/probe.html beside the pages of docs/janus, where Chromium is.
func (y *yard) serve() (reports chan viewing, page string) {
	y.t.Helper()
	reports = make(chan viewing, 10)
	pages := http.NewServeMux()
	pages.Handle("GET /", http.FileServer(http.Dir(manual)))
	pages.HandleFunc("GET /probe.html", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/probe.html") })
	pages.HandleFunc("POST /report/{who}", func(_ http.ResponseWriter, r *http.Request) {
		v := viewing{who: r.PathValue("who")}
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
			v.Error = err.Error()
		}
		reports <- v
	})
	l := y.listen(y.theirs)
	server := &http.Server{Handler: pages}
	go func() { _ = server.Serve(l) }() // until Close
	y.t.Cleanup(func() { server.Close() })
	return reports, fmt.Sprintf("http://%s/probe.html", l.Addr())
}

func checkViewing(t *testing.T, name string, v viewing) {
	t.Helper()
	s := v.Stats
	t.Logf("FIGURE Chromium through Janus, %s viewer: first picture after %.0f ms, %d pictures decoded, %d packets lost, %d freezes, %.0f ms in the jitter buffer",
		name, v.Waited, s.FramesDecoded, s.PacketsLost, s.FreezeCount, 1000*s.JitterBufferDelay/float64(max(1, s.JitterBufferEmittedCount)))
	if s.FramesDecoded < 60 || s.PacketsLost != 0 || s.KeyFramesDecoded < 1 || s.FrameWidth != 640 || s.FrameHeight != 480 {
		t.Errorf("%s viewer: %+v, want 60 pictures of 640x480 decoded, a key frame among them, and none lost", name, s)
	}
	for which, picture := range map[string]string{"first": v.First, "last": v.Last} {
		b, err := base64.StdEncoding.DecodeString(picture)
		if err != nil {
			t.Fatal(err)
		}
		checkBars(t, fmt.Sprintf("%s viewer, %s picture", name, which), b)
	}
}

// checkKeyFrames reads from the wire that Janus asked for key frames, that each wish was
// granted, and that since the first one none came unasked, as they do every 5 s where
// nobody can ask.
func checkKeyFrames(t *testing.T, record string) {
	t.Helper()
	const prompt = 2 * time.Second // between two key frames lie 300 ms at least
	asked, sent := wishes(t, record)
	if len(asked) < 2 {
		t.Fatalf("%d PLIs, want one for each of two viewers", len(asked))
	}
	for _, at := range asked {
		if !slices.ContainsFunc(sent, func(key time.Duration) bool { return key >= at && key <= at+prompt }) {
			t.Errorf("a PLI %v after the first was not answered within %v", at-asked[0], prompt)
		}
	}
	for _, key := range sent {
		if key > asked[0] && !slices.ContainsFunc(asked, func(at time.Duration) bool { return key >= at && key <= at+prompt }) {
			t.Errorf("a key frame %v after the first PLI was not asked for", key-asked[0])
		}
	}
	t.Logf("FIGURE camsource to Janus: %d PLIs, %d key frames", len(asked), len(sent))
}

// wishes are the times of PLIs and of key frames.
func wishes(t *testing.T, record string) (asked, sent []time.Duration) {
	t.Helper()
	out, err := exec.Command("tshark", "-r", record, "-d", "udp.port==5004,rtp", "-d", "udp.port==5005,rtcp", "-d", "rtp.pt==96,vp8",
		"-Y", "vp8.keyframe.width || rtcp.psfb.fmt==1", "-T", "fields", "-e", "frame.time_relative", "-e", "vp8.keyframe.width").Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		seconds, width, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		at, err := time.ParseDuration(seconds + "s")
		if err != nil {
			t.Fatalf("tshark said %q: %v", line, err)
		}
		if width == "" {
			asked = append(asked, at)
		} else {
			sent = append(sent, at)
		}
	}
	return asked, sent
}

// The way into a browser: camsource sends to Janus, Chromium watches Janus' mountpoint by
// WebRTC, all three as they are.

package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A viewing is what one viewer of testdata/probe.html tells.
type viewing struct {
	who    string
	Error  string
	Waited float64 // ms from the first request to Janus until a picture was on the page
	Stats  struct {
		PacketsLost, FramesDecoded, KeyFramesDecoded, FrameWidth, FrameHeight, FramesDropped, FreezeCount int
		JitterBufferEmittedCount                                                                          int

		JitterBufferDelay, TotalFreezesDuration float64 // s, of all pictures
	}
	First, Last string // PNG in base64
}

func TestProcessStreamsThroughJanusToChromium(t *testing.T) {
	y := newYard(t, "janus", "chromium", "dumpcap", "tshark", "ss")
	y.browsers("")
	dir := t.TempDir()
	clip := filepath.Join(dir, "bars.y4m")
	// else only root gets there, and camsource ceases to be it
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	writeBars(t, clip)
	record := filepath.Join(dir, "wire.pcapng")
	recorded := y.record(record)
	y.bridge(clip, "--bitrate", "2M") // so that colours are what they were
	time.Sleep(2 * time.Second)       // whoever comes now has missed the key frame at the start
	for name, v := range y.browse(60, "first", "late") {
		checkViewing(t, name, v)
	}
	time.Sleep(prompt) // the last wish is to be granted, too
	recorded()
	checkKeyFrames(t, record)
}

// Of a browser that stands behind a slow link Janus says nothing but what it can take.
// A camsource that went on with 600 kbit/s had 19 pictures decoded in 32 s.
func TestProcessSendsNoMoreThanChromiumBehindJanusCanTake(t *testing.T) {
	y := newYard(t, "janus", "chromium", "tc", "ss")
	y.browsers("400kbit")
	y.bridge("pattern")
	began := time.Now()
	v := y.browse(200, "narrow")["narrow"]
	t.Logf("FIGURE Chromium behind 400 kbit/s, camsource allowed 600: "+
		"%d pictures decoded after %.1f s, %d packets lost, %.1f s frozen",
		v.Stats.FramesDecoded, time.Since(began).Seconds(), v.Stats.PacketsLost, v.Stats.TotalFreezesDuration)
}

func checkViewing(t *testing.T, name string, v viewing) {
	t.Helper()
	s := v.Stats
	t.Logf("FIGURE Chromium through Janus, %s viewer: first picture after %.0f ms, %d pictures decoded, "+
		"%d packets lost, %d freezes, %.0f ms in the jitter buffer",
		name, v.Waited, s.FramesDecoded, s.PacketsLost, s.FreezeCount,
		1000*s.JitterBufferDelay/float64(max(1, s.JitterBufferEmittedCount)))
	if s.FramesDecoded < 60 || s.PacketsLost != 0 || s.KeyFramesDecoded < 1 || s.FrameWidth != 640 ||
		s.FrameHeight != 480 {
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

// prompt is how soon a wish for a key frame is granted; between two lie 300 ms at least.
const prompt = 2 * time.Second

// checkKeyFrames reads from the wire that Janus asked for key frames, that each wish was
// granted, and that since the first one none came unasked, as they do every 5 s where
// nobody can ask.
func checkKeyFrames(t *testing.T, record string) {
	t.Helper()
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
		if key > asked[0] &&
			!slices.ContainsFunc(asked, func(at time.Duration) bool { return key >= at && key <= at+prompt }) {
			t.Errorf("a key frame %v after the first PLI was not asked for", key-asked[0])
		}
	}
	t.Logf("FIGURE camsource to Janus: %d PLIs, %d key frames", len(asked), len(sent))
}

// wishes are the times of PLIs and of key frames.
func wishes(t *testing.T, record string) (asked, sent []time.Duration) {
	t.Helper()
	out, err := exec.Command("tshark", "-r", record,
		"-d", "udp.port==5004,rtp", "-d", "udp.port==5005,rtcp", "-d", "rtp.pt==96,vp8",
		"-Y", "vp8.keyframe.width || rtcp.psfb.fmt==1",
		"-T", "fields", "-e", "frame.time_relative", "-e", "vp8.keyframe.width").Output()
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

// Somebody else sends to camctl receive: real programs, over real sockets.

package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/need"
)

// ask posts a request to the gateway as any source may, and gives the answer.
func (r *receiving) ask(t *testing.T, request map[string]any) map[string]any {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(r.url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// grant asks for a stream; ssrc is announced unless it is 0.
func (r *receiving) grant(t *testing.T, ssrc uint32) (id any) {
	t.Helper()
	id = r.ask(t, map[string]any{"action": "new_utilization_id", "key": r.key})["utilization_id"]
	request := map[string]any{"action": "start_stream", "key": r.key, "utilization_id": id, "width": 320, "height": 240}
	if ssrc != 0 {
		request["ssrc"] = ssrc
	}
	if answer := r.ask(t, request); answer["rtp_port"] == nil {
		t.Fatalf("start_stream = %v", answer)
	}
	return id
}

func (r *receiving) validate(t *testing.T, id any) map[string]any {
	t.Helper()
	return r.ask(t, map[string]any{"action": "validate_stream", "utilization_id": id})
}

// until reads rows until one is as wanted.
func (r *receiving) until(t *testing.T, what string, wanted func(second) bool) second {
	t.Helper()
	deadline := time.After(30 * time.Second)
	var row second
	for {
		select {
		case line, more := <-r.lines:
			if !more {
				t.Fatalf("ended before %s: %+v", what, row)
			}
			row = second{}
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if wanted(row) {
				return row
			}
		case <-deadline:
			t.Fatalf("never %s: %+v", what, row)
		}
	}
}

// startStranger sends VP8 from the given local address until the test ends.
func startStranger(t *testing.T, command string, args ...string) {
	t.Helper()
	need.Tools(t, command)
	c := exec.Command(command, args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
}

func ffmpegStranger(t *testing.T, to string) {
	startStranger(t, "ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc=s=320x240:r=25", "-c:v", "libvpx",
		"-deadline", "realtime", "-g", "25", "-f", "rtp", "rtp://"+to+"?pkt_size=1200&localaddr=127.0.0.1")
}

func gstreamerStranger(t *testing.T, from, to string) {
	host, port, _ := net.SplitHostPort(to)
	startStranger(t, "gst-launch-1.0", "-q", "videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=240",
		"!", "vp8enc", "deadline=1", "keyframe-max-dist=25", "!", "rtpvp8pay", "!", "udpsink", "host="+host,
		"port="+port, "bind-address="+from)
}

func TestStrangerDoesNotBecomeTheCamera(t *testing.T) {
	for _, c := range []struct {
		name     string
		ssrc     uint32 // announced
		stranger func(t *testing.T, to string)
	}{
		{"an announced SSRC against ffmpeg on the source's own host", 0x51a7, ffmpegStranger},
		{"a source that announces nothing against GStreamer on another host", 0,
			func(t *testing.T, to string) { gstreamerStranger(t, "127.0.0.2", to) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			state := t.TempDir()
			r := startReceive(t, "--state", state, "--json")
			id := r.grant(t, c.ssrc)
			c.stranger(t, r.rtp)
			r.until(t, "noticed the stranger", func(s second) bool { return s.Foreign > 100 })
			if row := r.until(t, "left it out", func(second) bool { return true }); row.State != "nobody" ||
				row.Frames != 0 || row.Packets != 0 || row.Stranger == "" {
				t.Errorf("row = %+v, want nobody and a stranger", row)
			}
			if got := r.validate(t, id); got["validation_code"] == 0.0 {
				t.Errorf("validate_stream = %v while a stranger sends", got)
			}
			ssrc := max(c.ssrc, 5)
			sendKeyFrames(t, r.rtp, ssrc, 10)
			row := r.until(t, "received the source", func(s second) bool { return s.Frames == 10 })
			if row.SSRC != ssrc || !strings.HasPrefix(row.Source, "127.0.0.1:") {
				t.Errorf("row = %+v, want the source's SSRC and address", row)
			}
			if got := r.validate(t, id); got["validation_code"] != 0.0 {
				t.Errorf("validate_stream = %v while the source sends", got)
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			records, err := filepath.Glob(filepath.Join(state, "recordings", "*", "*", "*.webm"))
			if err != nil || len(records) != 1 {
				t.Errorf("records %v, %v, want the source's alone", records, err)
			}
		})
	}
}

// One datagram that anybody can write must not end a stream.
func TestSpoofedByeEndsNothing(t *testing.T) {
	r := startReceive(t, "--state", t.TempDir(), "--json")
	id := r.grant(t, 77)
	rtpOut, err := net.Dial("udp", r.rtp)
	if err != nil {
		t.Fatal(err)
	}
	defer rtpOut.Close()
	rtcpOut, err := net.Dial("udp", r.rtcp)
	if err != nil {
		t.Fatal(err)
	}
	defer rtcpOut.Close()
	bye, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 77}, &rtcp.Goodbye{Sources: []uint32{77}}})
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < 100; n++ {
		if _, err := rtpOut.Write(keyFramePacket(t, 77, n)); err != nil {
			t.Fatal(err)
		}
		if _, err := rtcpOut.Write(bye); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	if got := r.validate(t, id); got["validation_code"] != 0.0 {
		t.Errorf("validate_stream = %v although pictures go on after each BYE", got)
	}
	row := r.until(t, "all received", func(s second) bool { return s.Frames == 100 })
	if row.ByesIgnored == 0 {
		t.Errorf("row = %+v, want ignored BYEs counted", row)
	}
	if _, err := rtcpOut.Write(bye); err != nil { // and now the source is silent
		t.Fatal(err)
	}
	r.until(t, "believed the BYE", func(s second) bool { return s.State == "silent" })
	if got := r.validate(t, id); got["error_code"] != 4081.0 {
		t.Errorf("validate_stream = %v after BYE and silence, want %s", got, strconv.Itoa(4081))
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
)

// call runs camsource with a limit on its time; what it never should do is wait.
func call(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	err = run(ctx, args, &out, &errs, func() error { return nil })
	if ctx.Err() != nil {
		t.Fatalf("camsource %v still runs after 10 s", args)
	}
	return out.String(), errs.String(), err
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadInputIsOneLineThatSaysWhatToDo(t *testing.T) {
	to := []string{"--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10"}
	for _, c := range []struct {
		name  string
		args  []string
		usage bool // exit code 2 instead of 1
		want  string
	}{
		{"nowhere to send to", nil, true, "give --gateway URL --key KEY"},
		{"RTP without RTCP", []string{"--rtp", "127.0.0.1:9"}, true, "--rtp and --rtcp belong together"},
		{"unknown flag", []string{"--colour"}, true, "-colour"},
		{"an argument too many", []string{"cam0"}, true, `unexpected "cam0"`},
		{"a size that is none", append([]string{"--size", "640"}, to...), true, "WIDTHxHEIGHT"},
		{"a bitrate that is none", append([]string{"--bitrate", "fast"}, to...), true, "600k"},
		{"no pictures at all", append([]string{"--fps", "-1"}, to...), true, "--fps"},
		{"unpaced camera", append([]string{"--pace=false"}, to...), true, "--camera FILE.y4m"},
		{"unpaced through a gateway", []string{"--pace=false", "--camera", "x.y4m", "--gateway", "https://g.example/", "--key", "k"}, true, "give --rtp and --rtcp"},
		{"gateway without a key", []string{"--camera", "pattern", "--gateway", "https://g.example/"}, false, "gateway.key is missing"},
		{"no such camera", append([]string{"--camera", "/dev/video99"}, to...), false, "no such camera"},
		{"a node that is no camera", append([]string{"--camera", "/dev/null"}, to...), false, "not a capture node"},
		{"a file that is not there", append([]string{"--camera", "gone.y4m"}, to...), false, "no such file"},
		{"a file that is no y4m", append([]string{"--camera", file(t, "x.y4m", "RIFF")}, to...), false, "y4m"},
		{"configuration missing", []string{"--config", "gone.json"}, false, "gone.json"},
		{"unknown configuration key", []string{"--config", file(t, "k.json", "{\n\"stream\": {\"colour\": 1}}")}, false, "k.json:2: stream.colour"},
		{"wrong configuration value", []string{"--config", file(t, "v.json", `{"stream": {"fps": 0}}`)}, false, "v.json:1: stream.fps"},
		{"key over plain http", []string{"--camera", "pattern", "--gateway", "http://127.0.0.1:9/", "--key", "k"}, false, "allow-http"},
		{"receiver that does not resolve", []string{"--camera", "pattern", "--rtp", "nowhere..invalid:9", "--rtcp", "nowhere..invalid:10"}, false, "stream.rtp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := call(t, c.args...)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, c.want)
			}
			if got := errors.Is(err, errUsage); got != c.usage {
				t.Errorf("usage error: %v, want %v (exit code 2 or 1)", got, c.usage)
			}
		})
	}
}

func TestFlagsOverrideTheConfigurationFile(t *testing.T) {
	path := file(t, "krazycam.json", `{"stream": {"size": "1280x720", "fps": 15, "bitrate": "1M"}, "gateway": {"url": "https://g.example/", "key": "k"}}`)
	o, err := parse([]string{"--config", path, "--fps", "10", "--camera", "C920"}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	s := o.config.Stream
	if s.Size.String() != "1280x720" || s.FPS != 10 || s.Bitrate != 1_000_000 || o.config.Camera.Device != "C920" || o.config.Gateway.Key != "k" {
		t.Errorf("parse gave %+v, want the file's size, bitrate and key, the flags' fps and camera", o.config)
	}
}

func TestGatewayFlagStandsAboveTheAddressesOfTheFile(t *testing.T) {
	path := file(t, "krazycam.json", `{"stream": {"rtp": "192.0.2.1:5004", "rtcp": "192.0.2.1:5005"}}`)
	o, err := parse([]string{"--config", path, "--gateway", "https://g.example/", "--key", "k"}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if s := o.config.Stream; s.RTP != "" || s.RTCP != "" {
		t.Errorf("would stream to %s and %s without asking the gateway", s.RTP, s.RTCP)
	}
}

func TestBoardSurvivesAConfigurationThatCannotWork(t *testing.T) {
	for _, c := range []config.Config{
		{Gateway: config.Gateway{URL: "https://g.example/"}},
		{Gateway: config.Gateway{URL: "http://g.example/", Key: "k"}},
		{Stream: config.Stream{RTP: "192.0.2.1:5004"}},
	} {
		o := options{config: c, pace: true}
		o.fill()
		err := o.check()
		if err == nil {
			t.Errorf("%+v is taken", c)
		}
		if got := o.survive(err, true); got != nil || o.warning != err || o.config.Gateway.URL+o.config.Stream.RTP != "" {
			t.Errorf("survive = %v with warning %v and %+v, want the defaults and the reason", got, o.warning, o.config)
		}
	}
}

func TestSDPFileHoldsTheLatestStreamOnly(t *testing.T) {
	path := file(t, "s.sdp", "")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, sdp := range []string{"v=0 the first, a long one", "v=0 the second"} {
		if _, err := io.WriteString(latest{f}, sdp); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != sdp {
			t.Errorf("file holds %q (%v), want %q", b, err, sdp)
		}
	}
}

func TestStateFolderIsMade(t *testing.T) {
	state := filepath.Join(t.TempDir(), "new", "camsource")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() { // until it is there
		for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(state); err == nil {
				cancel()
			}
		}
	}()
	var errs bytes.Buffer
	args := []string{"--camera", "pattern", "--gateway", "https://127.0.0.1:9/", "--key", "k", "--state", state}
	if err := run(ctx, args, io.Discard, &errs, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state); err != nil {
		t.Errorf("%v: the utilization id has no place\n%s", err, &errs)
	}
}

func TestBoardDecidesWhatNobodySaid(t *testing.T) {
	o, err := parse([]string{"--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10"}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if s := o.config.Stream; s.Size.String() != "640x480" || s.FPS != 30 || s.Bitrate != 600_000 {
		t.Errorf("parse gave %v, %d fps, %v; want the defaults of an unknown model", s.Size, s.FPS, s.Bitrate)
	}
	if o.model.Speed >= 0 || o.model.Threads != 1 {
		t.Errorf("speed %d, %d threads; want a fixed (negative) speed and one thread", o.model.Speed, o.model.Threads)
	}
}

func TestHelpListsEveryFlagOfTheDesign(t *testing.T) {
	out, _, err := call(t, "--help")
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("error %v, want flag.ErrHelp", err)
	}
	for _, f := range []string{"config", "camera", "rtp", "rtcp", "gateway", "key", "size", "fps", "bitrate", "sdp", "pace", "version"} {
		if !strings.Contains(out, "  -"+f) {
			t.Errorf("--help does not list -%s", f)
		}
	}
}

func TestVersionIsOneJSONObject(t *testing.T) {
	out, _, err := call(t, "--version", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil || v["version"] == "" {
		t.Errorf("--version --json printed %q (%v)", out, err)
	}
}

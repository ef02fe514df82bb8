package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/config"
)

// call runs camsource with a limit on its time; what it never should do is wait.
func call(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out, errs bytes.Buffer
	err = run(ctx, args, &out, &errs, func(*slog.Logger) error { return nil })
	if ctx.Err() != nil {
		t.Fatalf("camsource %v still runs after 10 s", args)
	}
	return out.String(), errs.String(), err
}

// parsed gives the options of a command line of camsource without a verb.
func parsed(t *testing.T, args ...string) (*options, error) {
	t.Helper()
	cmd := &cobra.Command{}
	o := addOptions(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		return o, err
	}
	return o, o.resolve()
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
		{"RTP without a port", []string{"--rtp", "127.0.0.1", "--rtcp", "127.0.0.1:9"}, true,
			"--rtp: \"127.0.0.1\" must be HOST:PORT"},
		{"RTCP to port 0", []string{"--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:0"}, true, "--rtcp: "},
		{"nowhere", []string{"--rtp", "0.0.0.0:9", "--rtcp", "0.0.0.0:10"}, true, "--rtp: "},
		{"nowhere in IPv6", []string{"--rtp", "[::]:9", "--rtcp", "[::]:10"}, true, "--rtp: "},
		{"no address", []string{"--rtp", "192.168.1.256:9", "--rtcp", "192.168.1.256:10"}, true, "--rtp: "},
		{"two IP versions", []string{"--rtp", "127.0.0.1:9", "--rtcp", "[::1]:9"}, true, "two IP versions"},
		{"a privileged local port",
			[]string{"--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10", "--local-rtcp-port", "80"}, true,
			"--local-rtcp-port: must be a whole number from 1024 to 65535"},
		{"an MTU below 576", []string{"--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10", "--mtu", "575"}, true,
			"--mtu: must be a whole number from 576 to 1500"},
		{"a jumbo MTU", []string{"--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10", "--mtu", "9000"}, true, "--mtu: "},
		{"RTP without RTCP", []string{"--rtp", "127.0.0.1:9"}, true, "--rtp and --rtcp belong together"},
		{"unknown flag", []string{"--colour"}, true, "--colour"},
		{"unknown flag of a verb", []string{"cameras", "--colour"}, true, "camsource cameras --help"},
		{"one dash", []string{"-rtp", "127.0.0.1:9"}, true, "-rtp: a flag has two dashes: --rtp"},
		{"one dash, with a value that may be secret", []string{"-key=secret"}, true,
			"-key: a flag has two dashes: --key ("},
		{"an argument too many", []string{"cam0"}, true, `unexpected "cam0"`},
		{"help for a verb that does not exist", []string{"help", "cam0"}, true, `unexpected "cam0"`},
		{"a receiver without a port", []string{"--rtp", "127.0.0.1", "--rtcp", "127.0.0.1:10"}, true, "--rtp: "},
		{"a speed that lets libvpx choose", append([]string{"--speed", "4"}, to...), true,
			"--speed: must be a whole number from -16 to -1"},
		{"no thread", append([]string{"--threads", "0"}, to...), true, "--threads: must be a whole number from 1 to 4"},
		{"a size that is none", append([]string{"--size", "640"}, to...), true, "WIDTHxHEIGHT"},
		{"a bitrate that is none", append([]string{"--bitrate", "fast"}, to...), true, "600k"},
		{"no pictures at all", append([]string{"--fps", "-1"}, to...), true, "--fps"},
		{"unpaced camera", append([]string{"--pace=false"}, to...), true, "--camera FILE.y4m"},
		{"unpaced through a gateway",
			[]string{"--pace=false", "--camera", "x.y4m", "--gateway", "https://g.example/", "--key", "k"},
			true, "give --rtp and --rtcp"},
		{"gateway without a key", []string{"--camera", "pattern", "--gateway", "https://g.example/"}, false,
			"gateway.key is missing"},
		{"no such camera", append([]string{"--camera", "/dev/video99"}, to...), false, "no such camera"},
		{"a node that is no camera", append([]string{"--camera", "/dev/null"}, to...), false, "not a capture node"},
		{"a file that is not there", append([]string{"--camera", "gone.y4m"}, to...), false, "no such file"},
		{"a file that is no y4m", append([]string{"--camera", file(t, "x.y4m", "RIFF")}, to...), false, "y4m"},
		{"configuration missing", []string{"--config", "gone.json"}, false, "gone.json"},
		{"unknown configuration key", []string{"--config", file(t, "k.json", "{\n\"stream\": {\"colour\": 1}}")}, false,
			"k.json:2: stream.colour"},
		{"wrong configuration value", []string{"--config", file(t, "v.json", `{"stream": {"fps": 0}}`)}, false,
			"v.json:1: stream.fps"},
		{"key over plain http", []string{"--camera", "pattern", "--gateway", "http://127.0.0.1:9/", "--key", "k"}, false,
			"allow-http"},
		{"receiver that does not resolve",
			[]string{"--camera", "pattern", "--rtp", "nowhere..invalid:9", "--rtcp", "nowhere..invalid:10"},
			false, "stream.rtp"},
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

func TestOnlyWhatTheOwnerCanMendKeepsAServiceFromStarting(t *testing.T) {
	load := func(path string) error { _, err := config.Load(path); return err }
	failing := func(cause error) error {
		return fmt.Errorf("configuration: %w", &fs.PathError{Op: "read", Path: "krazycam.json", Err: cause})
	}
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"a wrong value", load(file(t, "v.json", `{"stream": {"fps": 0}}`)), true},
		{"no JSON", load(file(t, "v.json", `{`)), true},
		{"no file", load("gone.json"), true},
		{"a folder", load(t.TempDir()), true},
		{"a file that is far too long", load(file(t, "v.json", strings.Repeat(" ", 1<<20))), true},
		{"no right to read it", failing(syscall.EACCES), true},
		{"a disk that fails", failing(syscall.EIO), false},
		{"no descriptor left", failing(syscall.EMFILE), false},
	} {
		err := asConfigurationError(c.err)
		got := errors.As(err, new(configurationError))
		if got != c.want || c.err == nil || err.Error() != c.err.Error() {
			t.Errorf("%s: %v, exit code 2: %t, want %t", c.name, err, got, c.want)
		}
	}
}

func TestFlagsOverrideTheConfigurationFile(t *testing.T) {
	path := file(t, "krazycam.json",
		`{"stream": {"size": "1280x720", "fps": 15, "bitrate": "1M"},
		  "gateway": {"url": "https://g.example/", "key": "k"}}`)
	o, err := parsed(t, "--config", path, "--fps", "10", "--camera", "C920")
	if err != nil {
		t.Fatal(err)
	}
	s := o.config.Stream
	if s.Size.String() != "1280x720" || s.FPS != 10 || s.Bitrate != 1_000_000 || o.config.Camera.Device != "C920" ||
		o.config.Gateway.Key != "k" {
		t.Errorf("parse gave %+v, want the file's size, bitrate and key, the flags' fps and camera", o.config)
	}
}

func TestGatewayFlagStandsAboveTheAddressesOfTheFile(t *testing.T) {
	path := file(t, "krazycam.json", `{"stream": {"rtp": "192.0.2.1:5004", "rtcp": "192.0.2.1:5005"}}`)
	o, err := parsed(t, "--config", path, "--gateway", "https://g.example/", "--key", "k")
	if err != nil {
		t.Fatal(err)
	}
	if s := o.config.Stream; s.RTP != "" || s.RTCP != "" {
		t.Errorf("would stream to %s and %s without asking the gateway", s.RTP, s.RTCP)
	}
}

func TestSpeedAndThreadsReachTheEncoder(t *testing.T) {
	path := file(t, "krazycam.json", `{"stream": {"speed": -4, "threads": 2}}`)
	for _, c := range []struct {
		flags          []string
		speed, threads int
	}{
		{nil, -4, 2},
		{[]string{"--speed", "-8"}, -8, 2},
		{[]string{"--threads=1"}, -4, 1},
	} {
		o, err := parsed(t, append(c.flags, "--config", path)...)
		if err != nil {
			t.Fatal(err)
		}
		if s := newSource(o, nil, io.Discard).Config.Stream; s.Speed != c.speed || s.Threads != c.threads {
			t.Errorf("%v: speed %d, %d threads; want %d, %d", c.flags, s.Speed, s.Threads, c.speed, c.threads)
		}
	}
}

func TestAGatewayOfThisMachineNeedsFlagsOnly(t *testing.T) {
	o, err := parsed(t, "--gateway", "http://127.0.0.1:8080/", "--key", "k", "--allow-http", "--allow-loopback")
	if err := errors.Join(err, o.checkTogether()); err != nil || !o.config.Gateway.AllowLoopback {
		t.Errorf("%+v: %v", o.config.Gateway, err)
	}
}

func TestBoardSurvivesAConfigurationThatCannotWork(t *testing.T) {
	for _, c := range []config.Config{
		{Gateway: config.Gateway{URL: "https://g.example/"}},
		{Gateway: config.Gateway{URL: "http://g.example/", Key: "k"}},
		{Stream: config.Stream{RTP: "192.0.2.1:5004"}},
	} {
		o := options{config: c, pace: true}
		o.fillFromBoard()
		err := o.checkTogether()
		if err == nil {
			t.Errorf("%+v is taken", c)
		}
		if got := o.surviveOnBoard(err, true); got != nil || o.warning != err ||
			o.config.Gateway.URL+o.config.Stream.RTP != "" {
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
		if _, err := io.WriteString(latestSDP{f}, sdp); err != nil {
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
	if err := run(ctx, args, io.Discard, &errs, func(*slog.Logger) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state); err != nil {
		t.Errorf("%v: the utilization id has no place\n%s", err, &errs)
	}
}

func TestBoardDecidesWhatNobodySaid(t *testing.T) {
	o, err := parsed(t, "--rtp", "127.0.0.1:9", "--rtcp", "127.0.0.1:10")
	if err != nil {
		t.Fatal(err)
	}
	s := o.config.Stream
	if s.Size.String() != "640x480" || s.FPS != 30 || s.Bitrate != 600_000 {
		t.Errorf("parse gave %v, %d fps, %v; want the defaults of an unknown model", s.Size, s.FPS, s.Bitrate)
	}
	if s.Speed >= 0 || s.Threads != 1 {
		t.Errorf("speed %d, %d threads; want a fixed (negative) speed and one thread", s.Speed, s.Threads)
	}
	for _, section := range o.config.Sections() { // what help and documentation say of a PC
		for _, setting := range section.Settings {
			_, want, ok := strings.Cut(setting.Default, "on a PC ")
			if got := setting.Value.String(); ok && got != want {
				t.Errorf("%s.%s is %s, its help says %s", section.Name, setting.Key, got, want)
			}
		}
	}
}

func TestHelpListsEveryFlagOfTheDesign(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}} {
		out, _, err := call(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{
			"config", "camera", "rtp", "rtcp", "gateway", "key", "allow-http", "allow-loopback",
			"size", "fps", "bitrate", "speed", "threads", "sdp", "pace", "version",
		} {
			if !strings.Contains(out, "  --"+f+" ") && !strings.Contains(out, "  --"+f+"[=") {
				t.Errorf("%v does not list --%s", args, f)
			}
		}
	}
}

func TestVerbsHaveHelpOfTheirOwn(t *testing.T) {
	for verb, want := range map[string]string{
		"cameras": "--camera", "bench": "--compare", "version": "--json", "completion": "powershell",
	} {
		asked, _, err := call(t, "help", verb)
		flagged, _, flagErr := call(t, verb, "--help")
		if err := errors.Join(err, flagErr); err != nil || asked != flagged || !strings.Contains(asked, want) {
			t.Errorf("help %s (%v) lacks %s or is not what %[1]s --help prints:\n%[4]s", verb, err, want, asked)
		}
	}
}

func TestVersionIsOneJSONObject(t *testing.T) {
	for _, args := range [][]string{{"--version", "--json"}, {"version", "--json"}} {
		out, _, err := call(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(out), &v); err != nil || v["version"] == "" {
			t.Errorf("%v printed %q (%v)", args, out, err)
		}
	}
}

func TestWrongFlagsKeepTheKeySecret(t *testing.T) {
	for _, args := range [][]string{
		{"--key", "open sesame"}, {"--gateway", "https://me:sesame@gw.example/"}, {"--gateway", "me:sesame@gw.example"},
	} {
		if _, _, err := call(t, args...); !errors.Is(err, errUsage) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%v: %v, want a usage error without the secret", args, err)
		}
	}
}

func TestGivingUpRightsLogsWhereTheRestDoes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "krazycam.json")
	if err := os.WriteFile(file, []byte(`{"log": {"level": "error"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	var errs bytes.Buffer
	err := run(t.Context(), []string{"--camera", "pattern", "--rtp", "127.0.0.1:5004", "--rtcp", "127.0.0.1:5005",
		"--config", file}, io.Discard, &errs, func(log *slog.Logger) error {
		log.Warn("a warning")
		log.Error("an error")
		return enough
	})
	if got := errs.String(); !errors.Is(err, enough) || !strings.Contains(got, `"an error"`) ||
		strings.Contains(got, "a warning") {
		t.Errorf("run = %v with %q, want the error in the log and not the warning", err, got)
	}
}

package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const whole = `{
  "camera": {"device": "/dev/video2", "format": "MJPG", "power-line": "50",
    "controls": {"brightness": -7, "auto_exposure": true}},
  "stream": {"size": "320x240", "fps": 25, "bitrate": "1.2M", "speed": -8, "threads": 2,
    "rtp": "10.0.0.1:5004", "rtcp": "[::1]:5005", "encryption": "required",
    "local-rtcp-port": 5007, "rtx": true, "twcc": true, "capture-time": true, "ping": false,
    "mtu": 1400},
  "gateway": {
    "url": "https://gw.example/api", "key": "s3cret", "allow-http": true, "ca": "",
    "allowed-receivers": ["10.0.0.0/8", "video.example.org"], "allow-loopback": true, "share-board": false
  },
  "time": {"ntp": ["ntp.example.org", "192.0.2.1"]},
  "update": {"keys": ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"], "gokrazy": true, "pull": false},
  "web": {"password-hash": "$2y$10$0123456789012345678901./abcdefghijklmnopqrstuvwxyzABC",
    "tls-certificate": "", "tls-key": ""},
  "log": {"level": "debug"},
  "bench": {"once": true, "sizes": ["320x240", "640x480"], "speeds": [-8, -12], "threads": [1], "frames": 100}
}`

func TestParseReadsEveryKey(t *testing.T) {
	got, err := Parse("krazycam.json", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Camera: Camera{Device: "/dev/video2", Format: "MJPG", PowerLine: "50",
			Controls: map[string]int64{"brightness": -7, "auto_exposure": 1}},
		Stream: Stream{Size: Size{320, 240}, FPS: 25, Bitrate: 1_200_000, Speed: -8, Threads: 2,
			RTP: "10.0.0.1:5004", RTCP: "[::1]:5005", Encryption: Required,
			LocalRTCPPort: 5007, RTX: true, TWCC: true, CaptureTime: true, MTU: 1400},
		Gateway: Gateway{URL: "https://gw.example/api", Key: "s3cret", AllowHTTP: true, AllowLoopback: true,
			AllowedReceivers: []string{"10.0.0.0/8", "video.example.org"}},
		Time:   Time{NTP: []string{"ntp.example.org", "192.0.2.1"}},
		Update: Update{Keys: []string{"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"}, Gokrazy: true},
		Web:    Web{PasswordHash: "$2y$10$0123456789012345678901./abcdefghijklmnopqrstuvwxyzABC"},
		Log:    Log{Level: slog.LevelDebug},
		Bench: Bench{Once: true, Sizes: []Size{{320, 240}, {640, 480}}, Speeds: []int{-8, -12}, Threads: []int{1},
			Frames: 100},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParseTakesWhatAnOwnerMayWrite(t *testing.T) {
	for name, text := range map[string]string{
		"nothing said":                        `{}`,
		"a section without keys":              `{"camera": {}}`,
		"a byte order mark from an editor":    "\xef\xbb\xbf{}",
		"the rest of a placeholder of spaces": "{}\r\n" + strings.Repeat(" ", 16<<10),
	} {
		got, err := Parse("f", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(Default(), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseNamesKeyFileAndLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown section", "{\n\"cam\": {}}",
			`f:2: cam: unknown section (there are bench, camera, gateway, log, stream, time, update, web)`},
		{"unknown key", "{\"camera\": {\n\n\"devise\": \"x\"}}",
			`f:3: camera.devise: unknown key (there are controls, device, format, power-line)`},
		{"wrong case", `{"Camera": {}}`, `f:1: Camera: unknown section`},
		{"the same key twice", "{\"stream\": {\"fps\": 1,\n\"fps\": 2}}", `f:2: stream.fps: said twice`},
		{"the same section twice", "{\"log\": {},\n\"log\": {}}", `f:2: log: said twice`},
		{"a number where text belongs", `{"camera": {"device": 3}}`, `f:1: camera.device: must be text in " "`},
		{"null", `{"camera": {"device": null}}`, `f:1: camera.device: must be text`},
		{"an object where text belongs", `{"camera": {"device": {}}}`, `f:1: camera.device: must be text`},
		{"a section that is text", `{"camera": "x"}`, `f:1: camera: must be an object in { }`},
		{"a list at the top", `[]`, `f:1: must be an object in { }`},
		{"a format nobody knows", `{"camera": {"format": "H264"}}`, `camera.format: "H264" must be one of`},
		{"controls as a list", `{"camera": {"controls": []}}`,
			`f:1: camera.controls: must be an object, such as {"brightness": 128}`},
		{"half a control", `{"camera": {"controls": {"gain": 0.5}}}`,
			`f:1: camera.controls: gain: must be a whole number`},
		{"a control of 33 bits", `{"camera": {"controls": {"gain": 4294967296}}}`,
			`gain: must be a whole number of at most 32 bits`},
		{"a control as text", `{"camera": {"controls": {"gain": "high"}}}`, `gain: must be a whole number`},
		{"a control in a control", "{\"camera\": {\"controls\": {\n\"gain\": {}}}}",
			`f:2: camera.controls.gain: must be a plain value`},
		{"a control said twice", "{\"camera\": {\"controls\": {\"gain\": 1,\n\"gain\": 2}}}",
			`f:2: camera.controls.gain: said twice`},
		{"a control as a person would say it", `{"camera": {"controls": {"White Balance": 1}}}`,
			`"White Balance" must be a name such as`},
		{"a mains frequency nobody has", `{"camera": {"power-line": "55"}}`, `camera.power-line: "55" must be one of`},
		{"no pictures", "{\"stream\": {\n \"fps\":\n 0}}", `f:3: stream.fps: must be a whole number from 1 to 120`},
		{"half a picture", `{"stream": {"fps": 7.5}}`, `stream.fps: must be a whole number`},
		{"a rate as text", `{"stream": {"fps": "30"}}`, `stream.fps: must be a whole number`},
		{"a size with odd sides", `{"stream": {"size": "641x480"}}`, `stream.size: "641x480" must have even sides`},
		{"a speed that lets libvpx choose", `{"stream": {"speed": 4}}`,
			`stream.speed: must be a whole number from -16 to -1`},
		{"no thread", `{"stream": {"threads": 0}}`, `stream.threads: must be a whole number from 1 to 4`},
		{"a bitrate of nothing", `{"stream": {"bitrate": true}}`, `stream.bitrate: must be a bitrate`},
		{"an encryption nobody knows", `{"stream": {"encryption": "yes"}}`, `stream.encryption: "yes" must be one of`},
		{"a receiver without port", `{"stream": {"rtp": "10.0.0.1"}}`, `stream.rtp: "10.0.0.1" must be HOST:PORT`},
		{"port 0", `{"stream": {"rtp": "10.0.0.1:0"}}`, `must be HOST:PORT`},
		{"a URL of a file", `{"gateway": {"url": "file:///x"}}`, `gateway.url: "file:///x" must be a URL`},
		{"a key with a line break", `{"gateway": {"key": "a\nb"}}`, `gateway.key: must be at most 1024 bytes`},
		{"text for a bool", `{"gateway": {"allow-http": "yes"}}`, `gateway.allow-http: must be true or false`},
		{"text for a list", `{"time": {"ntp": "pool.ntp.org"}}`, `time.ntp: must be a list`},
		{"a list in a list", `{"time": {"ntp": [[]]}}`, `time.ntp: a list holds plain values only`},
		{"an option instead of a host", `{"time": {"ntp": ["-x"]}}`, `time.ntp: "-x" must be a host name`},
		{"a range that is none", `{"gateway": {"allowed-receivers": ["10.0.0.0/33"]}}`,
			`"10.0.0.0/33" must be an address`},
		{"a CA that is no PEM", `{"gateway": {"ca": "/etc/ca.pem"}}`, `gateway.ca: must be PEM text`},
		{"a private key as CA", `{"gateway": {"ca": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}}`,
			`not a certificate`},
		{"an update key that is a file", `{"update": {"keys": ["update.pub"]}}`,
			`update.keys: "update.pub" must be a minisign public key`},
		{"half an update key", `{"update": {"keys": ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn"]}}`,
			`must be a minisign public key: 56 characters`},
		{"a password instead of its hash", `{"web": {"password-hash": "sesame"}}`,
			`f:1: web.password-hash: must be a bcrypt hash`},
		{"a hash that takes a board a minute",
			`{"web": {"password-hash": "$2y$15$0123456789012345678901./abcdefghijklmnopqrstuvwxyzABC"}}`,
			`web.password-hash: must be a bcrypt hash of cost 8 to 14`},
		{"a certificate in place of the key",
			`{"web": {"tls-key": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}}`,
			`web.tls-key: holds a PEM block that is not a private key`},
		{"a key with a password",
			`{"web": {"tls-key": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n` +
				`-----END ENCRYPTED PRIVATE KEY-----\n"}}`,
			`web.tls-key: is encrypted`},
		{"a key file", `{"web": {"tls-key": "/etc/key.pem"}}`, `web.tls-key: must be PEM text`},
		{"a level nobody knows", `{"log": {"level": "loud"}}`,
			`log.level: "loud" must be one of debug, info, warn, error`},
		{"nothing at all", " \n ", `f:1: empty: write at least {}`},
		{"a file cut short", "{\"log\":\n{\"level\": \"info\"\n\n", `f:2: log: not JSON: the file ends too early`},
		{"a missing comma", "{\"log\": {}\n\n\"time\": {}}", `f:3: not JSON:`},
		{"a second document", "{}\n{}", `f:2: text after the closing }`},
		{"bytes that are no text", "{\n\"\xff\": 1}", `f:2: not UTF-8 text`},
		{"a flood", strings.Repeat(" ", MaxBytes+1), `f:1: longer than 65536 bytes`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse("f", []byte(c.text))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse(%.60q) = %v, want an *Error with %q", c.text, err, c.want)
			}
			if diff := cmp.Diff(Default(), got); diff != "" {
				t.Errorf("a broken file must give the defaults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsKeepTheKeySecret(t *testing.T) {
	for _, text := range []string{
		`{"gateway": {"key": "open sesame"}}`,
		`{"gateway": {"url": "https://me:sesame@gw.example/"}}`,
		`{"gateway": {"url": "https://me:sesame@gw.example:badport/"}}`,
		`{"gateway": {"url": "me:sesame@gw.example"}}`,
		`{"web": {"password-hash": "sesame"}}`,
		`{"web": {"tls-key": "sesame"}}`,
	} {
		_, err := Parse("f", []byte(text))
		if err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("Parse(%s) = %v, want an error without the secret", text, err)
		}
	}
}

func TestWithReplacesOnlyWhatTheFileSays(t *testing.T) {
	base, err := Parse("image", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	got, err := base.With("seed", []byte(`{"stream": {"bitrate": "300k"}, "time": {"ntp": []}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := base
	want.Stream.Bitrate = 300_000
	want.Time.NTP = []string{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("With (-want +got):\n%s", diff)
	}
	if len(base.Time.NTP) != 2 || base.Stream.Bitrate != 1_200_000 {
		t.Errorf("With changed its base: %+v", base)
	}
}

func TestLoadReadsAFileAndReportsAMissingOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "krazycam.json")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of nothing = %v, want fs.ErrNotExist", err)
	}
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil || c.Stream.FPS != 25 {
		t.Errorf("Load = %+v, %v, want 25 fps", c.Stream, err)
	}
}

func TestBitrate(t *testing.T) {
	for _, c := range []struct {
		text string
		want Bitrate // 0: refused
		back string
	}{
		{"600k", 600_000, "600k"}, {"1.2M", 1_200_000, "1.2M"}, {"600000", 600_000, "600k"},
		{"1M", 1_000_000, "1M"}, {"123456", 123_456, "123456"}, {"1.2345678M", 1_234_568, "1234568"},
		{"", 0, ""}, {"k", 0, ""}, {"600 k", 0, ""}, {"-600k", 0, ""}, {"0x10k", 0, ""}, {"1e6", 0, ""},
		{"Inf", 0, ""}, {"1_000k", 0, ""}, {"1", 0, ""}, {"41M", 0, ""}, {"1.2.3M", 0, ""}, {"600kM", 0, ""},
	} {
		got, err := ParseBitrate(c.text)
		if got != c.want || (err == nil) != (c.want != 0) || got.String() != c.back {
			t.Errorf("ParseBitrate(%q) = %d %q, %v, want %d %q", c.text, got, got, err, c.want, c.back)
		}
	}
}

func TestSizeAndBitrateAreFlags(t *testing.T) {
	var stream Stream
	size, rate := flagged(t, stream.settings(), "size"), flagged(t, stream.settings(), "bitrate")
	if err := errors.Join(size.Set("640x480"), rate.Set("600k")); err != nil {
		t.Fatal(err)
	}
	if stream.Size != (Size{640, 480}) || size.String() != "640x480" || stream.Bitrate != 600_000 ||
		rate.String() != "600k" {
		t.Errorf("flags = %v, %v", stream.Size, stream.Bitrate)
	}
	for _, text := range []string{
		"", "640", "640x", "x480", "-2x16", "640x480x2", "14x16", "5000x16", "640X480", "+640x480",
	} {
		if err := size.Set(text); err == nil {
			t.Errorf("size.Set(%q) = nil, want an error", text)
		}
	}
	if stream.Size != (Size{640, 480}) {
		t.Errorf("a refused size changed the value to %v", stream.Size)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"time": {"ntp": ["a", 1, null]}}`))
	f.Add([]byte(`{"bench": {"sizes": ["16x16", "4096x4096"], "speeds": [-17, -1.5],
		"threads": [5, null], "frames": 1e5}}`))
	f.Add([]byte(`{"stream": {"speed": -17, "threads": 0, "bitrate": 1e6}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("f", b)
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Line > 1+strings.Count(string(b), "\n")) {
			t.Errorf("Parse(%q) = %v, want an *Error with a line of the text", b, err)
		}
		checkBench(t, c.Bench)
		if s := c.Stream; s.Speed < -16 || s.Speed > 0 || s.Threads < 0 || s.Threads > 4 {
			t.Errorf("speed %d, %d threads", s.Speed, s.Threads)
		}
	})
}

func TestLoadBoardReadsTheFileOverTheImagesDefaults(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	image := file("image.json", `{"stream": {"fps": 10, "bitrate": "300k"}}`)
	for _, c := range []struct {
		name, defaults, path string
		fps                  int
		rate                 Bitrate
		fails                bool
	}{
		{"the file's word counts, the rest is the image's",
			image, file("a.json", `{"stream": {"fps": 15}}`), 15, 300_000, false},
		{"no file: the image's", image, filepath.Join(dir, "gone.json"), 10, 300_000, true},
		{"a broken file: the image's", image, file("b.json", `{"stream": {"fps": 0}}`), 10, 300_000, true},
		{"an image without any", filepath.Join(dir, "gone.json"), file("c.json", `{"stream": {"fps": 15}}`), 15, 0,
			false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := LoadBoard(c.defaults, c.path)
			if got.Stream.FPS != c.fps || got.Stream.Bitrate != c.rate || (err != nil) != c.fails {
				t.Errorf("LoadBoard = %d fps, %v, %v; want %d fps, %v", got.Stream.FPS, got.Stream.Bitrate, err, c.fps,
					c.rate)
			}
		})
	}
}

func TestSecretsNamesWhatAnImageMustNotHold(t *testing.T) {
	c, err := Parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	c.Web.TLSKey = "key"
	if diff := cmp.Diff([]string{"gateway.key", "web.password-hash", "web.tls-key"}, c.Secrets()); diff != "" {
		t.Errorf("Secrets (-want +got):\n%s", diff)
	}
	if got := Default().Secrets(); got != nil {
		t.Errorf("Secrets of the defaults = %v, want none", got)
	}
}

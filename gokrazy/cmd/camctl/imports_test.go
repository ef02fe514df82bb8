// The import rules of ARCHITECTURE.md, each with its reason. Runs `go list -deps`, so what a dependency drags in counts too.

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/krazycam/krazycam"

// deps lists the packages that a build of pkg contains.
func deps(t *testing.T, pkg string, env, flags []string) []string {
	t.Helper()
	args := append(append([]string{"list", "-deps"}, flags...), pkg)
	cmd := exec.Command("go", args...)
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return strings.Fields(string(out))
}

func TestProgramsKeepTheImportRules(t *testing.T) {
	noCgo, noGokrazyTag := []string{"CGO_ENABLED=0"}, []string(nil)
	onBoard := []string{"-tags", "gokrazy"}
	for _, c := range []struct {
		program    string
		env, flags []string
		ban        string // package or prefix that ends in /
		reason     string
	}{
		{"/gokrazy/cmd/camctl", noCgo, noGokrazyTag, "runtime/cgo", "camctl must cross-compile to macOS and Windows with nothing but Go"},
		{"/gokrazy/cmd/camctl", noCgo, noGokrazyTag, module + "/encoder", "the encoder is cgo"},
		{"/gokrazy/cmd/camctl", noCgo, noGokrazyTag, "github.com/blackjack/webcam", "an owner's machine plays a camera, it does not read one"},
		{"/firmware/cmd/camsource", nil, onBoard, module + "/firmware/farend", "the far end's server side has no place on a board"},
		{"/firmware/cmd/camsource", nil, onBoard, module + "/farend/losslab", "the lab makes networks bad and opens packet sockets as root: it has no place on a board"},
		{"/firmware/cmd/camsource", nil, onBoard, "github.com/pion/webrtc/", "WebRTC is megabytes of attack surface that the protocol does not use"},
		{"/firmware/cmd/camsource", nil, onBoard, module + "/gokrazy/", "camsource must run on any Linux, without gokrazy"},
		{"/gokrazy/cmd/init", noCgo, onBoard, "runtime/cgo", "process 1 is plain Go"},
		{"/gokrazy/cmd/init", noCgo, onBoard, module + "/firmware/gateway/", "process 1 parses nothing from the network"},
		{"/gokrazy/cmd/init", noCgo, onBoard, module + "/firmware/rtpsend", "process 1 parses nothing from the network"},
		{"/gokrazy/cmd/init", noCgo, onBoard, module + "/firmware/farend", "process 1 parses nothing from the network"},
		{"/gokrazy/cmd/init", noCgo, onBoard, module + "/farend/losslab", "the lab makes networks bad and opens packet sockets as root: it has no place on a board"},
		{"/gokrazy/cmd/init", noCgo, onBoard, "github.com/pion/", "process 1 parses nothing from the network"},
		{"/gokrazy/cmd/init", noCgo, onBoard, "github.com/beevik/ntp", "process 1 parses nothing from the network: NTP is a process of its own"},
		{"/gokrazy/cmd/init", noCgo, onBoard, module + "/v4l2", "process 1 shares a camera's files (v4l2/usb), it opens none"},
		{"/gokrazy/cmd/init", noCgo, onBoard, "github.com/blackjack/webcam", "process 1 opens no camera"},
		{"/gokrazy/cmd/preinit", noCgo, onBoard, "runtime/cgo", "/init of an initramfs is one static file"},
		{"/gokrazy/cmd/preinit", noCgo, onBoard, "net", "before the root is there, nothing is read but the command line and the disk"},
		{"/gokrazy/initramfs", noCgo, noGokrazyTag, module + "/", "initramfs packs what it is given: which modules is the board's"},
		{"/board", noCgo, noGokrazyTag, module + "/", "board is vocabulary: it imports nothing of ours"},
		{"/v4l2/pixfmt", noCgo, noGokrazyTag, module + "/", "pixfmt is vocabulary: it imports nothing of ours"},
		{"/v4l2/usb", noCgo, noGokrazyTag, module + "/", "process 1 links v4l2/usb, and whatever that imports"},
		{"/v4l2", noCgo, noGokrazyTag, module + "/firmware", "v4l2 knows buffers, not streams"},
		{"/v4l2", noCgo, noGokrazyTag, "runtime/cgo", "v4l2 is pure Go"},
		{"/encoder", nil, noGokrazyTag, module + "/v4l2", "the encoder does not know where pictures come from"},
		{"/encoder", nil, noGokrazyTag, module + "/firmware", "the encoder does not know where frames go"},
		{"/firmware/overload", noCgo, noGokrazyTag, "net", "overload is pure: times in, decisions out"},
		{"/firmware/machine", noCgo, noGokrazyTag, module + "/", "machine stands beside the stream: what it finds goes to a log or a callback"},
		{"/farend/losslab", nil, noGokrazyTag, module + "/firmware/rtpsend", "the lab measures the sender from outside: it shares none of its code"},
		{"/firmware/rtpvp8", noCgo, noGokrazyTag, "net", "rtpvp8 has no sockets"},
		{"/firmware/rtpsend", noCgo, noGokrazyTag, module + "/firmware/gateway", "leaves meet in firmware"},
		{"/firmware/gateway", noCgo, noGokrazyTag, module + "/firmware/rtpsend", "leaves meet in firmware"},
		{"/firmware/gateway/wire", noCgo, noGokrazyTag, module + "/", "wire is vocabulary: it imports nothing of ours"},
	} {
		self := module + c.program
		for _, d := range deps(t, self, c.env, c.flags) {
			if d != self && (d == strings.TrimSuffix(c.ban, "/") || strings.HasSuffix(c.ban, "/") && strings.HasPrefix(d, c.ban)) {
				t.Errorf("%s imports %s: %s", c.program, d, c.reason)
			}
		}
	}
}

func TestCgoStaysInTheEncoder(t *testing.T) {
	allowed := []string{module + "/encoder", module + "/encoder/convert"}
	out, err := exec.Command("go", "list", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	if slices.Sort(got); !slices.Equal(got, allowed) {
		t.Errorf("packages with cgo: %v, want %v", got, allowed)
	}
}

// The import rules of ARCHITECTURE.md by folder, each with its reason. A rule looks at
// everything that a build of a package contains, so what a dependency brings with it counts;
// test files do not. The packages are listed by the go command: a new one is covered by the
// rules of its folder. importgraph_test.go has the list and the rules' meaning.

package krazycam_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// An importRule says what the packages of some folders must not contain.
//
// Patterns are those of the go command: ./v4l2 is one package of ours, ./v4l2/... is that one
// and all below it, net is one of the standard library; C stands for cgo in a package that is
// not of the standard library.
type importRule struct {
	of, except string // patterns, separated by spaces: the packages that the rule is about
	ban, allow string // what they must not contain, and what of it they may
	direct     bool   // only their own import lines count
	reason     string
}

// importRules has the rules in the order of the flow.
func importRules() []importRule {
	return []importRule{
		// The folders.
		{of: "./board ./v4l2/pixfmt ./firmware/gateway/wire ./firmware/openfile ./firmware/destination", ban: "./...",
			reason: "vocabulary is imported by all and imports nothing of ours"},
		{of: "./firmware/atomicfile", ban: "./...", allow: "./firmware/openfile",
			reason: "it is imported by all; of ours it needs what kind of file stands at a path"},
		{of: "./firmware/config", ban: "./...", allow: "./firmware/openfile",
			reason: "vocabulary is imported by all; of ours it needs how a file is opened"},
		{of: "./firmware/health ./gokrazy/control", ban: "./...", allow: "./firmware/atomicfile ./firmware/openfile",
			reason: "vocabulary between programs of a board; of ours it needs how a file is opened and replaced"},
		{of: "./gokrazy/trial", ban: "./...",
			allow:  "./gokrazy/trial ./gokrazy/control ./firmware/health ./firmware/atomicfile ./firmware/openfile",
			reason: "what becomes of an update is decided by rules: init looks, writes and restarts"},
		{of: "./v4l2/...", ban: "./...", allow: "./v4l2/... ./firmware/openfile",
			reason: "v4l2 knows buffers, not streams"},
		{of: "./v4l2/usb", ban: "./...",
			reason: "process 1 links v4l2/usb and whatever that imports"},
		{of: "./encoder/...", ban: "./...", allow: "./encoder/... ./v4l2/pixfmt",
			reason: "the encoder knows neither where pictures come from nor where frames go"},
		{of: "./...", except: "./encoder ./encoder/convert ./encoder/nogain ./encoder/oneheap", ban: "C", direct: true,
			reason: "cgo stays in the encoder: everything else is plain Go"},
		{of: "./firmware/...", except: "./firmware/cmd/camweb", ban: "./gokrazy/...",
			reason: "camsource must run on any Linux, without gokrazy"},
		{of: "./firmware/...", ban: "github.com/pion/webrtc/...",
			reason: "WebRTC is megabytes of attack surface that the board's protocol does not use"},
		{of: "./firmware/... ./gokrazy/cmd/...",
			except: "./gokrazy/cmd/camctl", ban: "./farend/...",
			reason: "what ships on a board contains neither the far end nor a lab, " +
				"which makes networks bad and opens packet sockets as root"},
		{of: "./farend/...", except: "./farend/losslab/... ./farend/cmd/losslab ./farend/bundle ./farend/cmd/camserver",
			ban: "./...",
			allow: "./farend/... ./firmware/gateway/wire " +
				"./firmware/rtpvp8 ./firmware/atomicfile ./firmware/openfile",
			reason: "the far end shares with the board what is on the wire and how a file is opened and replaced"},
		{of: "./farend/bundle", ban: "./...",
			allow: "./farend/rollout ./farend/store ./farend/stream ./firmware/gateway/wire ./firmware/atomicfile " +
				"./firmware/openfile ./board ./gokrazy/update ./gokrazy/card ./gokrazy/disk ./firmware/config",
			reason: "a bundle is read by the code that boards read it by, and by nothing else of an image"},
		{of: "./farend/...", ban: "C",
			reason: "a server is one static file for any machine"},
		{of: "./farend/listener", ban: "./...",
			reason: "who may connect depends on nothing else of ours"},
		{of: "./farend/store/...", except: "./farend/store/postgres/postgrestest", ban: "./...",
			allow: "./farend/store/... ./farend/stream ./firmware/gateway/wire ./firmware/openfile " +
				"./firmware/atomicfile",
			reason: "what is kept depends on the words of the protocol, not on who grants or receives"},
		{of: "./gokrazy/cmd/camctl", ban: "github.com/jackc/...",
			reason: "a desk has one file: PostgreSQL is for several camservers"},
		{of: "./farend/store", ban: "modernc.org/... github.com/jackc/...",
			reason: "a program links the engine that it opens: camctl has no PostgreSQL"},
		{of: "./farend/forward", ban: "./...",
			allow: "./farend/forward/janus ./farend/forward/packet ./farend/stream ./firmware/gateway/wire " +
				"./firmware/atomicfile ./firmware/openfile",
			reason: "what is handed on comes from any receiver, and goes out by code that a program chooses"},
		{of: "./farend/forward/packet", ban: "./... net",
			reason: "packets that are handed on are made in plain time: bytes in, bytes out"},
		{of: "./farend/forward/janus", ban: "./...",
			reason: "Janus' API knows mountpoints: which streams want one is not its matter"},
		{of: "./farend/webm", ban: "./...",
			allow:  "./farend/webm/matroska ./farend/stream ./farend/lock ./firmware/gateway/wire ./firmware/openfile",
			reason: "what is recorded comes from any receiver, and limits from any database"},
		{of: "./farend/webm/matroska", ban: "./... net",
			reason: "a format: times, frames and a file"},
		{of: "./farend/gateway", ban: "./farend/...",
			allow:  "./farend/gateway ./farend/listener ./farend/store ./farend/stream",
			reason: "a gateway grants to any video server, and works on any database"},
		{of: "./farend/videoserver", ban: "./farend/...",
			allow:  "./farend/videoserver ./farend/store ./farend/stream",
			reason: "what passes between gateway and video server knows neither of them"},
		{of: "./gokrazy/...", ban: "C ./encoder/... github.com/blackjack/webcam",
			reason: "everything around the stream is plain Go: one static file for any machine"},
		{of: "./gokrazy/...", except: "./gokrazy/cmd/camctl",
			ban: "./firmware/...",
			allow: "./firmware/config ./firmware/health ./firmware/destination ./firmware/atomicfile " +
				"./firmware/openfile",
			reason: "an image carries the stream's programs, it does not contain their code"},

		// Inside firmware.
		{of: "./firmware/rtpsend/...", ban: "./firmware/...", allow: "./firmware/rtpsend/... ./firmware/rtpvp8",
			reason: "leaves meet in firmware, not in each other"},
		{of: "./firmware/rtpsend/...", except: "./firmware/rtpsend", ban: "./firmware/rtpsend",
			reason: "the Sender uses its parts, they do not know it"},
		{of: "./firmware/rtpsend/...", except: "./firmware/rtpsend ./firmware/rtpsend/udp", ban: "net",
			reason: "only udp has sockets: all else of rtpsend is tested in plain time"},
		{of: "./firmware/gateway/...", ban: "./firmware/...",
			allow:  "./firmware/gateway/... ./firmware/destination ./firmware/atomicfile ./firmware/openfile",
			reason: "leaves meet in firmware, not in each other"},
		{of: "./firmware/offer", ban: "./...",
			allow:  "./firmware/gateway/wire ./firmware/atomicfile ./firmware/openfile",
			reason: "camsource and camweb share it: of ours it needs what an offer is and how a file is replaced"},
		{of: "./firmware/webui", ban: "./...",
			reason: "who may ask a board, and how much, depends on nothing else of it"},
		{of: "./firmware/pipeline/...", ban: "./firmware/...",
			allow: "./firmware/pipeline/... ./firmware/overload " +
				"./firmware/ratecontrol ./firmware/config ./firmware/openfile",
			reason: "the pipeline's frames go to a Sink: it knows neither packets nor who allows them"},
		{of: "./firmware/machine/...", ban: "./...", allow: "./firmware/machine/...",
			reason: "machine stands beside the stream: what it finds goes to a log or a callback"},
		{of: "./firmware/rtpvp8", ban: "./... net",
			reason: "rtpvp8 is pure: frames in, payloads out"},
		{of: "./firmware/ratecontrol ./firmware/overload", ban: "./... net",
			reason: "they are pure: reports or times in, decisions out"},
		{of: "./farend/losslab/...", ban: "./firmware/rtpsend/...",
			reason: "the lab measures the sender from outside: it shares none of its code"},

		// The programs.
		{of: "./gokrazy/cmd/camctl", ban: "github.com/pion/webrtc/v4 ./farend/forward/whip",
			reason: "WebRTC is megabytes that a desk does not need: camserver publishes"},
		{of: "./farend/api", ban: "./farend/gateway/... ./farend/receiver ./farend/metrics github.com/prometheus/...",
			reason: "the API reads a database and asks whatever has the streams of this process"},
		{of: "./gokrazy/... ./firmware/...", ban: "github.com/prometheus/... ./farend/metrics",
			reason: "a board and a desk have no Prometheus: camserver links its client"},
		{of: "./gokrazy/cmd/camctl", ban: "./v4l2",
			reason: "an owner's machine plays a camera, it does not read one"},
		{of: "./gokrazy/cmd/camctl", ban: "./firmware/...",
			allow: "./firmware/config ./firmware/gateway/wire " +
				"./firmware/rtpvp8 ./firmware/atomicfile ./firmware/openfile ./firmware/manpage",
			reason: "camctl asks no gateway and sends no stream: it is the far end"},
		{of: "./firmware/manpage", ban: "./... net/http",
			allow:  "./firmware/config ./firmware/atomicfile ./firmware/openfile",
			reason: "camctl and camsource share it: of ours it needs the settings table, and how a file is replaced"},
		{of: "./gokrazy/cmd/init",
			ban: "./...",
			allow: "./gokrazy/cmd/init ./gokrazy/control ./board ./firmware/config " +
				"./firmware/health ./firmware/atomicfile ./firmware/openfile ./v4l2/usb " +
				"./gokrazy/events ./gokrazy/trial ./gokrazy/slot ./gokrazy/card ./gokrazy/disk " +
				"./gokrazy/settings ./gokrazy/perm",
			reason: "process 1 parses nothing from the network and opens no camera: whatever of ours it " +
				"contains has been looked at for that"},
		{of: "./gokrazy/cmd/init", ban: "github.com/pion/... github.com/beevik/ntp github.com/insomniacslk/...",
			reason: "process 1 parses nothing from the network: NTP and DHCP are processes of their own"},
		{of: "./firmware/cmd/camweb",
			ban: "./...",
			allow: "./firmware/cmd/camweb ./firmware/webui ./firmware/config ./firmware/machine ./firmware/health " +
				"./firmware/offer ./firmware/gateway/wire ./firmware/destination ./firmware/atomicfile " +
				"./firmware/openfile ./board " +
				"./gokrazy/api ./gokrazy/certificate ./gokrazy/control ./gokrazy/events ./gokrazy/privileges " +
				"./gokrazy/update ./gokrazy/update/pull ./gokrazy/card ./gokrazy/disk",
			reason: "strangers talk to camweb: it checks and spools an update, and has no code that writes a slot"},
		{of: "./gokrazy/api", ban: "./... net/http",
			allow:  "./gokrazy/control ./gokrazy/events ./firmware/atomicfile ./firmware/openfile",
			reason: "both ends of a board's HTTPS share it: words, and nothing that asks or answers"},
		{of: "./gokrazy/flash/unpack", ban: "./...",
			reason: "a stranger's file is unpacked by code that knows nothing else"},
		{of: "./gokrazy/flash/drive", ban: "./...", allow: "./firmware/openfile",
			reason: "which drives there are depends on nothing of ours but how a file is opened"},
		{of: "./firmware/... ./gokrazy/cmd/...", except: "./gokrazy/cmd/camctl", ban: "github.com/ulikunitz/...",
			reason: "a board unpacks no image: an update is no .xz"},
		{of: "./gokrazy/certificate", ban: "./...",
			reason: "camctl and camweb share it: of ours it needs nothing"},
		{of: "./gokrazy/cmd/preinit", ban: "net",
			reason: "before the root is there, nothing is read but the command line and the disk"},
		{of: "./gokrazy/events", ban: "./...", allow: "./firmware/atomicfile ./firmware/openfile",
			reason: "process 1 writes events and the page reads them: neither brings the other's code"},
		{of: "./gokrazy/slot", ban: "./... net/http",
			allow:  "./board ./gokrazy/card ./gokrazy/disk ./firmware/config ./firmware/openfile",
			reason: "process 1 and slotwriter link it: it knows cards and boards, and fetches nothing"},
		{of: "./gokrazy/uboot", ban: "./... net", allow: "./gokrazy/fdt",
			reason: "uboot knows U-Boot's formats, of which one is a device tree: bytes in, bytes out"},
		{of: "./gokrazy/slot/whole", ban: "./... net/http",
			allow: "./board ./gokrazy/card ./gokrazy/disk ./gokrazy/fdt ./gokrazy/initramfs ./gokrazy/slot " +
				"./firmware/config ./firmware/openfile",
			reason: "slotwriter links it: it knows what a slot must have, not how it is made or sent"},
		{of: "./gokrazy/cmd/slotwriter", ban: "net/http os/exec github.com/gokrazy/... github.com/pion/... " +
			"github.com/insomniacslk/...",
			reason: "it writes to the card what came from the network: it fetches nothing and starts nothing"},
		{of: "./gokrazy/cmd/slotwriter", ban: "./...",
			allow: "./gokrazy/cmd/slotwriter ./gokrazy/update ./gokrazy/slot ./gokrazy/slot/whole ./gokrazy/disk " +
				"./gokrazy/card ./gokrazy/fdt ./gokrazy/initramfs ./gokrazy/privileges ./board ./firmware/config " +
				"./firmware/atomicfile ./firmware/openfile",
			reason: "a program that writes slots contains what it needs to check and to write, and no more"},
		{of: "./gokrazy/cmd/slotwriter", ban: "net", direct: true,
			reason: "it has no network (config parses addresses for others, hence net in its graph)"},
		{of: "./gokrazy/fdt", ban: "./...",
			reason: "a format: vm and uboot share it, and it knows neither boards nor loaders"},
		{of: "./gokrazy/initramfs", ban: "./...",
			reason: "initramfs packs what it is given: which modules those are is the board's matter"},
		{of: "./gokrazy/update", ban: "net/http",
			reason: "slotwriter and init contain it, and neither receives: that is a package of its own"},
		{of: "./gokrazy/update", ban: "./...",
			allow:  "./gokrazy/card ./gokrazy/disk ./firmware/config ./firmware/atomicfile ./firmware/openfile",
			reason: "a bundle is files with hashes: what a board or a slot needs of them, others say"},
		{of: "./gokrazy/update/pull", ban: "./...",
			allow: "./gokrazy/update ./gokrazy/card ./gokrazy/disk ./firmware/config ./firmware/destination " +
				"./firmware/atomicfile ./firmware/openfile",
			reason: "whoever fetches knows neither slots nor who offered"},
		{of: "./...", except: "./gokrazy/update ./gokrazy/cmd/camctl ./gokrazy/fleet/fleettest",
			ban: "aead.dev/minisign", direct: true,
			reason: "signatures are gokrazy/update's seam, secret keys camctl's and tests'"},
		{of: "./firmware/cmd/... ./gokrazy/cmd/... ./farend/cmd/...", ban: "testing",
			reason: "what supports tests (farend/need, v4l2/v4l2test, …/imagetest, …/fleettest) is in no program"},

		// The seams to third parties.
		{of: "./...", except: "./farend/metrics", ban: "github.com/prometheus/...", direct: true,
			reason: "Prometheus' client is the seam of metrics"},
		{of: "./...", except: "./farend/forward/whip", ban: "github.com/pion/webrtc/v4", direct: true,
			reason: "pion/webrtc is the seam of forward/whip"},
		{of: "./...", except: "./farend/store/sqlite", ban: "modernc.org/...", direct: true,
			reason: "SQLite is farend/store/sqlite's seam"},
		{of: "./...", except: "./farend/store/postgres ./farend/store/postgres/postgrestest",
			ban: "github.com/jackc/...", direct: true,
			reason: "PostgreSQL is farend/store/postgres' seam"},
		{of: "./...", except: "./v4l2", ban: "github.com/blackjack/webcam", direct: true,
			reason: "the webcam library is v4l2's seam"},
		{of: "./...", except: "./gokrazy/cmd/init", ban: "github.com/gokrazy/gokrazy", direct: true,
			reason: "gokrazy's process 1 is cmd/init's seam"},
	}
}

func TestPackagesKeepTheImportRules(t *testing.T) {
	var graphs []importGraph
	for _, b := range []goBuild{
		{os: "linux", arch: "arm64", tags: "gokrazy"},
		{os: "linux", arch: "arm", tags: "gokrazy"},
		{os: "linux", arch: "amd64"},
		{os: "darwin", arch: "arm64"},
		{os: "windows", arch: "amd64"},
	} {
		g := listImports(t, b)
		graphs = append(graphs, g)
		for _, v := range g.violations(importRules()) {
			t.Errorf("%v: %s", b, v)
		}
	}
	for _, p := range deadPatterns(graphs, importRules()) {
		t.Errorf("the rules name %s, where no package is: a folder that moves takes its rules along, "+
			"one that went loses them", p)
	}
}

// On a board a camsource without codecs would be found out too late.
func TestCamsourceOfAnImageWithoutCgoDoesNotCompile(t *testing.T) {
	cmd := exec.Command("go", "build", "-tags", "gokrazy", "-o", os.DevNull, "./firmware/cmd/camsource")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("camsource_for_an_image_needs_cgo")) {
		t.Errorf("go build without cgo = %v, want the compiler's complaint; it said:\n%s", err, out)
	}
}

// The rules of the tree are kept, so what shows that they could fail is a tree of our own.
func TestImportRulesFindWhatBreaksThem(t *testing.T) {
	g := importGraph{
		"./firmware/cmd/camsource": {"./firmware", "fmt"},
		"./firmware":               {"./firmware/gateway", "./encoder"},
		"./firmware/gateway":       {"./farend/store", "net"},
		"./farend/store":           {"database/sql"},
		"./farend/losslab":         {"./encoder"},
		"./encoder":                {"C"},
		"./gokrazy/cmd/init":       {"./board", "github.com/pion/rtp"},
		"./gokrazy/cmd/initial":    {"./firmware"},
		"./board":                  nil,
	}
	for _, c := range []struct {
		name string
		rule importRule
		want string // "; " between violations
	}{
		{"a package below a folder", importRule{of: "./firmware/gateway/...", ban: "./farend/..."},
			"./firmware/gateway -> ./farend/store"},
		{"what a dependency brings with it, and how", importRule{of: "./firmware/cmd/...", ban: "./farend/..."},
			"./firmware/cmd/camsource -> ./firmware -> ./firmware/gateway -> ./farend/store"},
		{"a package of the standard library", importRule{of: "./firmware", ban: "net"},
			"./firmware -> ./firmware/gateway -> net"},
		{"cgo", importRule{of: "./farend/...", ban: "C"}, "./farend/losslab -> ./encoder -> C"},
		{"only own import lines", importRule{of: "./...", ban: "C", direct: true}, "./encoder -> C"},
		{"a package that is left out", importRule{of: "./farend/...", except: "./farend/losslab", ban: "C"}, ""},
		{"what is allowed of what is banned",
			importRule{of: "./gokrazy/cmd/init", ban: "./... github.com/pion/...", allow: "./board"},
			"./gokrazy/cmd/init -> github.com/pion/rtp"},
		{"all of ours", importRule{of: "./gokrazy/cmd/init", ban: "./..."}, "./gokrazy/cmd/init -> ./board"},
		{"several", importRule{of: "./firmware/gateway", ban: "./... net"},
			"./firmware/gateway -> ./farend/store; ./firmware/gateway -> net"},
		{"nothing of what is banned", importRule{of: "./board", ban: "./..."}, ""},
	} {
		c.rule.reason = "why"
		got := strings.Join(g.violations([]importRule{c.rule}), "; ")
		if got = strings.ReplaceAll(got, ": why", ""); got != c.want {
			t.Errorf("%s: violations = %q, want %q", c.name, got, c.want)
		}
	}
}

func TestImportRulesAboutNoPackageAreFound(t *testing.T) {
	graphs := []importGraph{{"./board": nil}, {"./farend/store": nil}}
	rules := []importRule{{of: "./board ./bord", ban: "net ./farend/... ./farend/gone/... ./farend"}}
	got, want := strings.Join(deadPatterns(graphs, rules), " "), "./bord ./farend/gone/... ./farend"
	if got != want {
		t.Errorf("deadPatterns = %q, want %q", got, want)
	}
}

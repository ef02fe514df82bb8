// The command line: flags over the configuration file over the defaults of the board.

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware"
	"github.com/krazycam/krazycam/firmware/config"
)

const usage = `camsource streams a camera as VP8 over RTP/RTCP to whoever the gateway names.

  camsource --gateway URL --key KEY                       ask the gateway where to
  camsource --rtp HOST:PORT --rtcp HOST:PORT              send there, without a gateway
  camsource --camera pattern --rtp 127.0.0.1:5004 --rtcp 127.0.0.1:5005 --sdp s.sdp
  camsource cameras [--json]                              which cameras are there, and which one it would take
  camsource bench [--help]                                what this machine can encode
  camsource --version [--json]
  source <(camsource completion bash)                     Tab completes all of this

Flags (they override what the configuration file says):
`

// errUsage marks a command line that is wrong: exit code 2.
var errUsage = errors.New("wrong usage (camsource --help lists the flags)")

// options is one command line, read and checked.
type options struct {
	config  config.Config
	model   board.Model
	sdp     string
	state   string
	pace    bool
	version bool
	json    bool
	cameras bool
	warning error // a configuration file that was not used
}

// parse reads the command line without the program's name. flag.ErrHelp means
// that the usage was printed to w, which was all that was asked for.
func parse(args []string, w io.Writer) (options, error) {
	o := options{config: config.Default(), model: board.DetectModel(deviceTreeModel())}
	if len(args) > 0 && args[0] == "cameras" {
		o.cameras, args = true, args[1:]
	}
	f, over := o.flags()
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(w, usage)
			f.SetOutput(w)
			f.PrintDefaults()
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%w: unexpected %q", errUsage, f.Arg(0))
	}
	if err := o.load(f.Lookup("config").Value.String()); err != nil {
		return o, err
	}
	over()
	o.fill()
	return o, o.survive(o.check(), onBoard)
}

// flags are those of camsource without a verb; over puts the values that were given above
// the file's.
func (o *options) flags() (f *flag.FlagSet, over func()) {
	f = flag.NewFlagSet("camsource", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are one line, printed by main
	f.String("config", "", "configuration `file` (JSON); default: none")
	f.StringVar(&o.sdp, "sdp", "", "write the description of the stream to this `file`, for ffmpeg and players")
	f.StringVar(&o.state, "state", defaultState(), "`folder` that keeps the gateway's utilization id")
	f.BoolVar(&o.pace, "pace", true, "with a file: play it again and again at its own rate; --pace=false: once, as fast as the encoder goes")
	f.BoolVar(&o.version, "version", false, "print the version")
	f.BoolVar(&o.json, "json", false, "with cameras or --version: one JSON object")
	return f, overrides(f, &o.config)
}

// overrides makes the flags whose values stand above the file's; the function
// it returns puts those that were given into c.
func overrides(f *flag.FlagSet, c *config.Config) (apply func()) {
	var given config.Config
	f.StringVar(&given.Camera.Device, "camera", "", "`/dev/videoN`, a part of the camera's name, its serial number or USB port, FILE.y4m or pattern; default: the first camera")
	f.StringVar(&given.Stream.RTP, "rtp", "", "send RTP to `HOST:PORT`, without a gateway")
	f.StringVar(&given.Stream.RTCP, "rtcp", "", "send RTCP to `HOST:PORT`")
	f.StringVar(&given.Gateway.URL, "gateway", "", "`URL` of the gateway")
	f.StringVar(&given.Gateway.Key, "key", "", "API `key` for the gateway; safer in the configuration file, where ps does not show it")
	f.Var(&given.Stream.Size, "size", "`WIDTHxHEIGHT`; default: the board's, 640x480")
	f.IntVar(&given.Stream.FPS, "fps", 0, "pictures a second; default: the board's, 30")
	f.Var(&given.Stream.Bitrate, "bitrate", "`bit/s`, such as 600k; default: the board's, 600k")
	f.IntVar(&given.Stream.LocalRTCPPort, "local-rtcp-port", 0, "`port` of this machine that a receiver sends RTCP to, if it cannot learn it from ours; default: any free one")
	f.BoolVar(&given.Stream.RTX, "rtx", false, "the receiver takes lost packets again by RFC 4588, as payload type 97")
	f.BoolVar(&given.Stream.TWCC, "twcc", false, "the receiver reports when each packet arrived: number them in a header extension (ID 5)")
	f.BoolVar(&given.Stream.CaptureTime, "capture-time", false, "send each frame's capture time in a header extension (RFC 6051, ID 4)")
	f.BoolVar(&given.Stream.Ping, "ping", true, "ask the receiver's host for echoes (ICMP) while its reports are too rare to show a queue; --ping=false: never")
	return func() {
		f.Visit(func(fl *flag.Flag) {
			switch fl.Name {
			case "camera":
				c.Camera.Device = given.Camera.Device
			case "rtp":
				c.Stream.RTP = given.Stream.RTP
			case "rtcp":
				c.Stream.RTCP = given.Stream.RTCP
			case "gateway":
				c.Gateway.URL = given.Gateway.URL
				c.Stream.RTP, c.Stream.RTCP = "", "" // the file's: who names a gateway wants it asked
			case "key":
				c.Gateway.Key = given.Gateway.Key
			case "size":
				c.Stream.Size = given.Stream.Size
			case "fps":
				c.Stream.FPS = given.Stream.FPS
			case "bitrate":
				c.Stream.Bitrate = given.Stream.Bitrate
			case "local-rtcp-port":
				c.Stream.LocalRTCPPort = given.Stream.LocalRTCPPort
			case "rtx":
				c.Stream.RTX = given.Stream.RTX
			case "twcc":
				c.Stream.TWCC = given.Stream.TWCC
			case "capture-time":
				c.Stream.CaptureTime = given.Stream.CaptureTime
			case "ping":
				c.Stream.Ping = given.Stream.Ping
			}
		})
	}
}

// load reads the configuration file. On a board a file that is missing or
// broken leaves the defaults and a warning: a board must not die of it.
func (o *options) load(path string) error {
	if path == "" {
		return nil
	}
	load := config.Load
	if onBoard {
		load = func(path string) (config.Config, error) { return config.LoadBoard(config.ImageDefaults, path) }
	}
	c, err := load(path)
	if err != nil && !onBoard {
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		o.warning = err
	}
	o.config = c
	return nil
}

// fill takes from the board's model what nobody said.
func (o *options) fill() {
	s, m := &o.config.Stream, o.model
	if s.Size == (config.Size{}) {
		s.Size = config.Size{Width: m.Width, Height: m.Height}
	}
	if s.FPS == 0 {
		s.FPS = m.FPS
	}
	if s.Bitrate == 0 {
		s.Bitrate = config.Bitrate(m.Bitrate)
	}
}

// check finds what only the whole command line shows.
func (o *options) check() error {
	s := o.config.Stream
	switch {
	case o.cameras || o.version:
		return nil
	case s.FPS < 1 || s.FPS > config.MaxFPS:
		return fmt.Errorf("%w: --fps %d: must be from 1 to %d", errUsage, s.FPS, config.MaxFPS)
	case s.LocalRTCPPort < 0 || s.LocalRTCPPort > 65535:
		return fmt.Errorf("%w: --local-rtcp-port %d: must be from 1024 to 65535", errUsage, s.LocalRTCPPort)
	case (s.RTP == "") != (s.RTCP == ""):
		return fmt.Errorf("%w: --rtp and --rtcp belong together", errUsage)
	case s.RTP == "" && o.config.Gateway.URL == "" && !onBoard:
		return fmt.Errorf("%w: nowhere to send to: give --gateway URL --key KEY, or --rtp and --rtcp", errUsage)
	case !o.pace && !strings.HasSuffix(o.config.Camera.Device, ".y4m"):
		return fmt.Errorf("%w: --pace=false needs a file: --camera FILE.y4m", errUsage)
	case !o.pace && s.RTP == "":
		return fmt.Errorf("%w: --pace=false asks no gateway: give --rtp and --rtcp", errUsage)
	case s.RTP == "" && o.config.Gateway.URL != "":
		return firmware.CheckGateway(o.config.Gateway)
	}
	return nil
}

// survive turns what is wrong with a board's configuration into a warning and the
// defaults: if camsource ended, supervision would start it each second, for years.
func (o *options) survive(err error, board bool) error {
	if err == nil || !board {
		return err
	}
	o.warning, o.config = err, config.Default()
	o.fill()
	return nil
}

// deviceTreeModel is what the boot firmware calls this board; "" on a PC.
func deviceTreeModel() string {
	b, err := os.ReadFile("/proc/device-tree/model")
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\x00")
}

// defaultState is where the utilization id survives: on a board the folder that
// init made, on a PC the user's own (XDG base directories), or nowhere. Root's own
// folders would be shut to who root becomes: a system's service has one in /var/lib.
func defaultState() string {
	switch d := os.Getenv("XDG_STATE_HOME"); {
	case onBoard:
		return stateDir
	case os.Geteuid() == 0:
		return "/var/lib/camsource"
	case filepath.IsAbs(d):
		return filepath.Join(d, "camsource")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "camsource")
}

// makeState makes the folder, if there is none, for the user that root becomes. One that
// is there belongs to somebody.
func makeState(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil || os.Geteuid() != 0 {
		return err
	}
	return os.Chown(dir, board.SourceUser, board.SourceUser)
}

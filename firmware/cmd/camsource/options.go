// What a stream needs to know: flags over the configuration file over the board's own values.

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware"
	"github.com/krazycam/krazycam/firmware/config"
)

// options is one command line and the configuration file that it names.
type options struct {
	given givenSettings
	file  string
	sdp   string
	state string
	pace  bool

	model   board.Model
	config  config.Config // as resolve leaves it
	warning error         // why the configuration file is not used
}

// addOptions makes the flags of a verb that reads the configuration.
func addOptions(cmd *cobra.Command) *options {
	o := &options{config: config.Default(), model: board.DetectModel(deviceTreeModel())}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.file, "config", "", "configuration `FILE` (JSON); default: none")
	o.given = addSettingFlags(cmd, false)
	f.StringVar(&o.sdp, "sdp", "", "write the description of the stream to this `FILE`, for ffmpeg and players")
	f.StringVar(&o.state, "state", defaultState(), "`FOLDER` that keeps the gateway's utilization id")
	f.BoolVar(&o.pace, "pace", true,
		"play a file again and again at its own rate; --pace=false: once, as fast as the encoder goes")
	cobra.CheckErr(cmd.MarkFlagDirname("state"))
	return o
}

// resolve reads the configuration file, puts the flags over it, and the board's own values
// where neither says anything.
func (o *options) resolve() error {
	if err := o.readFile(o.file); err != nil {
		return err
	}
	if _, ok := o.given["gateway"]; ok { // whoever names a gateway wants it asked, not the file's receiver
		o.config.Stream.RTP, o.config.Stream.RTCP = "", ""
	}
	if err := o.given.override(&o.config, false); err != nil {
		return err
	}
	o.fillFromBoard()
	return nil
}

// readFile reads the configuration file. On a board, where process 1 has made it of the owner's, a
// file that is missing or broken leaves what there is instead and a warning: a board must not die of
// it.
func (o *options) readFile(path string) error {
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

// fillFromBoard takes from the board's model what nobody said.
func (o *options) fillFromBoard() {
	s, m := &o.config.Stream, o.model
	if s.Size == (config.Size{}) {
		s.Size = config.Size{Width: m.Width, Height: m.Height}
	}
	s.FPS = cmp.Or(s.FPS, m.FPS)
	s.Bitrate = cmp.Or(s.Bitrate, config.Bitrate(m.Bitrate))
	s.Speed = cmp.Or(s.Speed, m.Speed)
	s.Threads = cmp.Or(s.Threads, m.Threads)
}

// checkTogether finds what only all settings together show.
func (o *options) checkTogether() error {
	s := o.config.Stream
	switch {
	case (s.RTP == "") != (s.RTCP == ""):
		return fmt.Errorf("%w: --rtp and --rtcp belong together", errUsage)
	case haveTwoIPVersions(s.RTP, s.RTCP):
		return fmt.Errorf("%w: --rtp %s and --rtcp %s are of two IP versions", errUsage, s.RTP, s.RTCP)
	case s.RTP == "" && o.config.Gateway.URL == "" && !onBoard:
		return fmt.Errorf("%w: nowhere to send to: give --gateway URL --key KEY, or --rtp and --rtcp", errUsage)
	case !o.pace && !strings.HasSuffix(o.config.Camera.Device, ".y4m"):
		return fmt.Errorf("%w: --pace=false needs a file: --camera FILE.y4m", errUsage)
	case !o.pace && s.RTP == "":
		return fmt.Errorf("%w: --pace=false asks no gateway: give --rtp and --rtcp", errUsage)
	}
	if o.file != "" {
		if err := o.config.CheckTogether(ownersName(o.file, onBoard)); err != nil {
			return err
		}
	}
	if s.RTP == "" && o.config.Gateway.URL != "" {
		return firmware.CheckGateway(o.config.Gateway)
	}
	return nil
}

// ownersName is the file that the owner knows: on a board camsource reads what process 1 makes of it.
func ownersName(file string, board bool) string {
	if board {
		return config.SeedName
	}
	return file
}

// haveTwoIPVersions says that both are addresses, not names, of different IP versions.
func haveTwoIPVersions(rtp, rtcp string) bool {
	a, errA := netip.ParseAddrPort(rtp)
	b, errB := netip.ParseAddrPort(rtcp)
	return errA == nil && errB == nil && a.Addr().Unmap().Is4() != b.Addr().Unmap().Is4()
}

// surviveOnBoard turns what is wrong with a board's configuration into a warning and the
// defaults: if camsource ended, supervision would start it every second, for years.
func (o *options) surviveOnBoard(err error, board bool) error {
	if err == nil || !board {
		return err
	}
	o.warning, o.config = err, config.Default()
	o.fillFromBoard()
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

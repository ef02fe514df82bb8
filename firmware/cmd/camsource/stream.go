// camsource without a verb: streams, or waits on a board that nobody configured.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware"
	"github.com/krazycam/krazycam/firmware/bench"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/firmware/manpage"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const streamExamples = `  camsource --gateway URL --key KEY                       ask the gateway where to
  camsource --rtp HOST:PORT --rtcp HOST:PORT              send there, without a gateway
  camsource --camera pattern --rtp 127.0.0.1:5004 --rtcp 127.0.0.1:5005 --sdp stream.sdp
  camsource cameras                                       which cameras there are, and which one it would take
  source <(camsource completion bash)                     Tab completes all of this`

func newStreamCommand(dropRights func(*slog.Logger) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "camsource",
		Short: "Streams a camera as VP8 over RTP/RTCP to whoever the gateway names",
		Long: "camsource streams a camera as VP8 over RTP/RTCP to whoever the gateway names.\n" +
			"Flags override what the configuration file says.",
		Example:     streamExamples,
		Args:        noArguments,
		Annotations: map[string]string{manpage.WrongUse: "it was called or configured wrongly"},
	}
	o := addOptions(cmd)
	printsVersion := cmd.Flags().Bool("version", false, "print the version and exit, as camsource version does")
	asJSON := cmd.Flags().Bool("json", false, "with --version: print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *printsVersion {
			return printVersion(cmd.OutOrStdout(), *asJSON)
		}
		if err := o.resolve(); err != nil {
			return asConfigurationError(err)
		}
		if err := o.surviveOnBoard(o.checkTogether(), onBoard); err != nil {
			return configurationError{err}
		}
		return runStream(cmd.Context(), o, cmd.ErrOrStderr(), dropRights)
	}
	return cmd
}

// runStream logs to stderr and, on a board, to the console.
func runStream(ctx context.Context, o *options, stderr io.Writer, dropRights func(*slog.Logger) error) error {
	live := newLiveLine(stderr)
	if live != nil {
		stderr = live
	}
	lines := io.MultiWriter(stderr, console())
	log := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: o.config.Log.Level}))
	if o.warning != nil {
		log.Error("configuration not used as it stands", "error", o.warning)
	}
	if o.file != "" && o.config.Gateway.Key != "" && !onBoard { // on a board init sees to that
		if err := openfile.CheckSecret(o.file); err != nil {
			log.Warn("the gateway's key is no secret on this machine", "error", err)
		}
	}
	healthReports, stopHealth := startHealth(ctx, healthFile, log)
	defer stopHealth()
	if onBoard { // root's right, given up when the camera is open
		if err := machine.Renice(machine.BoardNiceness); err != nil {
			log.Warn("running at normal priority", "error", err)
		}
	}
	if o.config.Bench.Once && onBoard {
		c := bench.Defaults()
		c.Override(o.config.Bench)
		benchOnce(ctx, c, benchFile, lines)
	}
	if ctx.Err() != nil {
		return nil
	}
	if o.config.Stream.RTP == "" && o.config.Gateway.URL == "" {
		return waitUnconfigured(ctx, lines, o.warning)
	}
	return stream(ctx, o, log, lines, live, healthReports, dropRights)
}

// waitUnconfigured is for a board that nobody told where to send to. It waits instead of
// failing: supervision would start it again every second, for years. broken is what was
// wrong with the configuration file, nil if there was none.
func waitUnconfigured(ctx context.Context, lines io.Writer, broken error) error {
	const none = "camsource IDLE no gateway is configured: "
	switch {
	case errors.Is(broken, config.ErrOnlyPartly):
		fmt.Fprintln(lines, none+broken.Error())
	case broken != nil:
		fmt.Fprintln(lines, "camsource IDLE the configuration is not used:", broken)
	default:
		fmt.Fprintln(lines, none+
			"put krazycam.json with gateway.url and gateway.key on the card's boot partition (camctl flash --seed)")
	}
	<-ctx.Done()
	return nil
}

// stream runs the source until ctx ends. live is nil where nobody looks.
func stream(ctx context.Context, o *options, log *slog.Logger, lines io.Writer, live *liveLine,
	reports *healthReporter, dropRights func(*slog.Logger) error) error {
	if err := machine.CalmMonitor(); err != nil { // without root's right it costs a little more
		log.Debug("Go's monitor wakes often", "error", err)
	}
	s := newSource(o, log, lines)
	s.Opened = func() error { return dropRights(log) }
	if o.sdp != "" {
		f, err := openfile.Create(o.sdp, 0o644) // before rights are given up
		if err != nil {
			return fmt.Errorf("--sdp: %w", err)
		}
		defer f.Close()
		s.SDP = latestSDP{f}
	}
	if o.state != "" && o.config.Stream.RTP == "" {
		if err := makeState(o.state); err != nil { // the stream does not depend on it
			log.Warn("the utilization id will be forgotten", "error", err)
		}
	}
	if live != nil {
		defer live.start(s.Stages())()
	}
	reports.follow(s)
	return s.Run(ctx)
}

func newSource(o *options, log *slog.Logger, lines io.Writer) *firmware.Source {
	host, err := os.Hostname()
	if err != nil {
		host = "krazycam"
	}
	return &firmware.Source{
		Config: o.config, Unpaced: !o.pace, Patient: onBoard,
		RawRate: o.model.RawRate, Built: built(), StateDir: o.state, RestartFile: restartRequest,
		ModesFile: modesFile(), StatusFile: statusFile, OfferFile: offerFile,
		CNAME: "camsource@" + host, Log: log,
		Ready: func(fields string) { fmt.Fprintf(lines, "camsource READY %s rss=%dkB\n", fields, resident()) },
	}
}

// resident is how much memory this process keeps, in units of 1024 bytes: proc_pid_status(5),
// 0 if the kernel does not say.
func resident() (kib int) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(b), "\nVmRSS:")
	_, _ = fmt.Sscan(line, &kib) // nothing in it leaves 0
	return kib
}

// latestSDP holds the description of the stream that began last and no other: a player that
// finds two in one file waits for both.
type latestSDP struct{ file *os.File }

// Write replaces what was written before, unless the file is a pipe or a terminal.
func (l latestSDP) Write(b []byte) (int, error) {
	if info, err := l.file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := l.file.Truncate(0); err != nil {
			return 0, err
		}
		return l.file.WriteAt(b, 0)
	}
	return l.file.Write(b)
}

// built is when this program was made, the zero time if nobody said.
func built() time.Time {
	seconds, err := strconv.ParseInt(buildTime, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

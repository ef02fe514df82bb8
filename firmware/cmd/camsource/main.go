// Command camsource streams a camera as VP8 over RTP/RTCP to the receiver that
// its gateway names. One static program, on the board and on any Linux PC.
//
// Exit codes: 0 done or told to end, 1 it failed, 2 it was called wrongly. One
// line for machines goes to stderr whenever a stream has begun:
// "camsource READY rtp=… size=… format=…". On a board the console shows it and the log.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/krazycam/krazycam/firmware"
	"github.com/krazycam/krazycam/firmware/bench"
	"github.com/krazycam/krazycam/firmware/machine"
)

// Set by scripts/build: the commit, and its time in seconds since 1970.
var version, buildTime = "unknown", ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr, dropPrivileges)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "camsource:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "camsource:", err)
		os.Exit(1)
	}
}

// run is main with its surroundings passed in; drop gives up root once the camera is open.
func run(ctx context.Context, args []string, stdout, stderr io.Writer, drop func() error) error {
	if len(args) > 0 && args[0] == "bench" {
		return runBench(ctx, args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == "completion" {
		return complete(stdout, args[1:])
	}
	o, err := parse(args, stdout)
	if err != nil {
		return err
	}
	if o.version {
		return printVersion(stdout, o.json)
	}
	if o.cameras {
		return cameras(stdout, o.config, o.json)
	}
	lines := io.MultiWriter(stderr, console())
	log := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: o.config.Log.Level}))
	if o.warning != nil {
		log.Error("configuration not used, going on with the defaults", "because", o.warning)
	}
	if onBoard { // root's right, given up when the camera is open
		if err := machine.Renice(machine.BoardNiceness); err != nil {
			log.Warn("running at normal priority", "because", err)
		}
	}
	if o.config.Bench.Once && onBoard {
		c := bench.Defaults()
		c.Ask(o.config.Bench)
		benchOnce(ctx, c, benchFile, lines)
	}
	if ctx.Err() != nil {
		return nil
	}
	if o.config.Stream.RTP == "" && o.config.Gateway.URL == "" {
		return unconfigured(ctx, lines, o.warning)
	}
	return stream(ctx, o, log, lines, drop)
}

// unconfigured is a board that nobody told where to send to. It waits instead
// of failing: supervision would start it again each second, for years. broken is
// what was wrong with the configuration file, nil if there was none.
func unconfigured(ctx context.Context, lines io.Writer, broken error) error {
	if broken != nil {
		fmt.Fprintln(lines, "camsource IDLE the configuration is not used:", broken)
	} else {
		fmt.Fprintln(lines, "camsource IDLE no gateway is configured: put krazycam.json with gateway.url and gateway.key on the card's boot partition (camctl flash --seed)")
	}
	<-ctx.Done()
	return nil
}

// stream runs the source until ctx ends.
func stream(ctx context.Context, o options, log *slog.Logger, lines io.Writer, drop func() error) error {
	if err := machine.CalmMonitor(); err != nil { // without root's right it costs a little more
		log.Debug("Go's monitor wakes often", "because", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "krazycam"
	}
	s := &firmware.Source{
		Config: o.config, Unpaced: !o.pace, Patient: onBoard,
		Speed: o.model.Speed, Threads: o.model.Threads, RawRate: o.model.RawRate,
		State: o.state, Restart: restartWish, Name: "camsource@" + host, Built: built(), Log: log,
		Opened: drop,
		Ready:  func(fields string) { fmt.Fprintf(lines, "camsource READY %s rss=%dkB\n", fields, resident()) },
	}
	if o.sdp != "" {
		f, err := os.Create(o.sdp) // before rights are given up
		if err != nil {
			return fmt.Errorf("--sdp: %w", err)
		}
		defer f.Close()
		s.SDP = latest{f}
	}
	if o.state != "" && o.config.Stream.RTP == "" {
		if err := makeState(o.state); err != nil { // the stream does not depend on it
			log.Warn("the utilization id will be forgotten", "because", err)
		}
	}
	return s.Run(ctx)
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

// latest holds the description of the stream that began last and no other: a
// player that finds two in one file waits for both.
type latest struct{ file *os.File }

func (l latest) Write(b []byte) (int, error) {
	if info, err := l.file.Stat(); err == nil && info.Mode().IsRegular() { // not a pipe or a terminal
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

// printVersion says which commit this is and how it was built.
func printVersion(w io.Writer, asJSON bool) error {
	v := struct {
		Version   string `json:"version"`
		BuildTime string `json:"build_time_unix,omitempty"`
		Go        string `json:"go"`
		Arch      string `json:"arch"`
	}{version, buildTime, runtime.Version(), runtime.GOARCH}
	if asJSON {
		return json.NewEncoder(w).Encode(v)
	}
	_, err := fmt.Fprintf(w, "camsource %s (%s, %s)\n", v.Version, v.Go, v.Arch)
	return err
}

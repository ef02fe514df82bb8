// Command ntp is the board's clock service: it asks NTP servers for the time and steers the
// kernel's clock.
//
// It replaces gokrazy's own ntp, which sets the clock back to the last clean shutdown, asks
// public pools only and does not know the servers that DHCP names. Its servers are those of the
// configuration and of DHCP; if there are none, or none of them can be believed, the public pool.
// Of several that disagree the majority is right (majority.go). The first good answer
// clears the kernel's STA_UNSYNC; so other programs see that the clock is right (adjtimex, which
// needs no privilege for that).
//
// It runs as nobody, with the capability to set the clock.
//
// Sources: RFC 5905 (NTP), adjtimex(2).
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/privileges"
)

// nobodyID is a user and group that owns no files.
const nobodyID = 65534

// version is the version of the tree, put in with -ldflags "-X main.version=…" by scripts/build.
var version = "unknown"

func main() {
	printsVersion := flag.Bool("version", false, "print the version and exit")
	configPath := flag.String("config", "", "configuration `file` whose time.ntp names servers")
	floor := flag.Int64("floor", 0,
		"Unix `seconds` before which no server is believed: when the program was built")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "ntp: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if *printsVersion {
		fmt.Println("ntp", version)
		return
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := run(ctx, log, *configPath, time.Unix(*floor, 0)); err != nil {
		log.Error("ntp", "error", err)
		os.Exit(1)
	}
}

// run steers the clock until ctx ends. The files that only root may open (the configuration and
// the real-time clock's node) are opened before it gives up root.
func run(ctx context.Context, log *slog.Logger, configPath string, floor time.Time) error {
	configured := configuredServers(log, configPath)
	rtc := openRTC(log)
	if err := privileges.Drop(nobodyID, unix.CAP_SYS_TIME); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	networks, err := watchNetworks(ctx, log)
	if err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	c := &client{
		configured: configured,
		fromDHCP:   leaseFolderPath(leaseFolder).servers,
		ask:        asker{floor}.ask,
		clock:      &kernelClock{floor: floor, rtc: rtc, log: log},
		after:      time.After,
		now:        time.Now,
		log:        log,
	}
	c.steerClock(ctx, networks)
	return nil
}

// Command dhcp gives the board's interfaces their addresses: IPv4 by DHCP, or link-local while no
// server answers; name servers also by IPv6 router advertisements, whose addresses the kernel takes
// by itself.
//
// It replaces gokrazy's own dhcp, which ignores a NAK, keeps the old address and the old network's
// routes beside the new ones, cannot reach a router outside of its network, and repeats REQUEST
// without pause at T1 = 0. What to do when is decided in package client, which has no sockets.
//
// Each interface has a goroutine; interfaces come and go. Its files are the leases in /run/dhcp,
// which ntp reads for option 42, and resolv.conf there.
//
// It runs as a user of its own with CAP_NET_ADMIN and CAP_NET_RAW, and listens on packet sockets:
// no port of the board is open.
//
// Sources: RFC 2131 (DHCP), RFC 3927, RFC 5227, RFC 8106 (RDNSS), rtnetlink(7), packet(7).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/privileges"
)

// user is the user and group that owns stateFolder and nothing else.
const user = 2002

// names is a flag that can be given several times.
type names []string

func (n *names) String() string { return fmt.Sprint(*n) }

func (n *names) Set(s string) error {
	*n = append(*n, s)
	return nil
}

type options struct {
	interfaces names
	state      string
	resolvConf string
}

// version is the version of the tree, put in with -ldflags "-X main.version=…" by scripts/build.
var version = "unknown"

func main() {
	var o options
	printsVersion := flag.Bool("version", false, "print the version and exit")
	flag.Var(&o.interfaces, "interface",
		"interface `name`; several times for several (default: all Ethernet and Wi-Fi devices)")
	flag.StringVar(&o.state, "state", "/run/dhcp", "`folder` for leases and resolv.conf")
	flag.StringVar(&o.resolvConf, "resolv-conf", "/tmp/resolv.conf",
		"`path` that becomes a link to resolv.conf; empty: none")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "dhcp: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if *printsVersion {
		fmt.Println("dhcp", version)
		return
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if err := run(ctx, log, o); err != nil {
		log.Error("dhcp", "error", err)
		os.Exit(1)
	}
}

// run serves the interfaces until ctx ends. It leaves them as they are: the next one takes up their
// leases again.
func run(ctx context.Context, log *slog.Logger, o options) error {
	if err := prepareFiles(o); err != nil {
		return err
	}
	if err := privileges.Drop(user, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	servers := newNameServers(filepath.Join(o.state, "resolv.conf"), log)
	done := make(chan struct{})
	go func() { defer close(done); servers.run(ctx) }()
	defer func() { <-done }()
	if err := watchRouters(ctx, servers); err != nil {
		log.Warn("name servers of IPv6 routers are not heard", "error", err)
	}
	hostName, err := os.Hostname()
	if err != nil {
		log.Warn("no host name is sent", "error", err)
	}
	l := &links{only: o.interfaces, state: o.state, hostName: hostName, servers: servers, log: log,
		running: map[int]*running{}}
	return l.watch(ctx)
}

// prepareFiles does what needs root: the folder of our own, and the link to resolv.conf, in whose
// place gokrazy has one to /proc/net/pnp.
func prepareFiles(o options) error {
	if err := os.MkdirAll(o.state, 0o755); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := os.Chown(o.state, user, user); err != nil {
			return err
		}
	}
	if o.resolvConf == "" {
		return nil
	}
	fresh := o.resolvConf + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Join(o.state, "resolv.conf"), fresh); err != nil {
		return err
	}
	return os.Rename(fresh, o.resolvConf)
}

// Command camweb is a board's HTTPS: status, events, updates, promote, reboot.
//
// It listens on port 443 with TLS, takes the password of the user admin for whatever changes
// something, and hands updates on: it checks the signature, keeps what comes in its spool, and asks
// process 1 (package control) to write and to try it. It cannot write a slot, and does not restart
// the board itself. It also fetches an update that the gateway offers (pull.go), and serves gokrazy's
// own protocol to an owner who wants that (gokrazy.go).
//
// It starts as root, opens its port and its folders, and goes on as user board.WebUser without any
// capability, at a low priority: the stream comes first. Test it on any Linux with --listen and
// --root, without root's rights. docs/api.md describes the API.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/firmware/offer"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
)

// version is the version of the tree, put in with -ldflags "-X main.version=…" by scripts/build.
var version = "unknown"

const (
	exitFailed = 1
	exitUsage  = 2
)

// options are what the command line says.
type options struct {
	config string // file with the sections web, update and log
	listen string
	root   string // "" on a board; else a folder that stands for /
}

func main() {
	var o options
	flag.StringVar(&o.config, "config", "", "configuration `file`")
	flag.StringVar(&o.listen, "listen", ":443", "`address` to listen on")
	flag.StringVar(&o.root, "root", "", "a `folder` in the place of /, for tests")
	printsVersion := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "camweb: unexpected argument %q\n", flag.Arg(0))
		os.Exit(exitUsage)
	}
	if *printsVersion {
		fmt.Println("camweb", version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	_ = machine.LimitProcess() // it serves all the same
	out := io.MultiWriter(os.Stderr, console(o.root))
	if err := run(ctx, o, out); err != nil {
		slog.New(slog.NewTextHandler(out, nil)).Error("camweb", "error", err)
		os.Exit(exitFailed)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, o options, out io.Writer) error {
	at := placesBelow(o.root)
	c, err := config.LoadBoard(filepath.Join("/", o.root, config.ImageDefaults), o.config)
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: c.Log.Level}))
	if err != nil && o.config != "" {
		log.Error("camweb: what the configuration says of web and update may not count", "error", err)
	}
	listener, err := openAsRoot(o, at)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := giveUpRoot(log); err != nil {
		return err
	}
	pair, cert := choosePair(c.Web, at.ownFolder, log)
	s, err := newService(at, c, pair, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "camweb READY addr=%s version=%s fingerprint=%s password=%s unsigned=%s\n",
		listener.Addr(), version, s.fingerprint, setOrNone(c.Web.PasswordHash), allowed(c.Update.Gokrazy))
	if c.Update.Gokrazy {
		log.Warn("this board takes UNSIGNED roots from whoever has its password: update.gokrazy is true")
	}
	return s.serve(ctx, listener, cert)
}

// places are the files and folders of a board that camweb uses.
type places struct {
	ownFolder string // TLS key, what was pulled
	spool     string
	root      string // an unsigned one, in the spool's folder
	offer     string
	events    string
	status    string
	promoted  string // manifest of the promoted slot
	other     string // manifest of the other slot
	socket    string // of process 1
}

func placesBelow(root string) places {
	below := func(path string) string { return filepath.Join("/", root, path) }
	if root == "" {
		below = func(path string) string { return path }
	}
	return places{
		ownFolder: below("/perm/camweb"), spool: below(control.Spool), root: below(control.UnsignedRoot),
		offer: below(offer.Path), events: below(events.Folder), status: below(control.StatusFile),
		promoted: below(control.ManifestFile), other: below(control.OtherManifest), socket: below(control.Socket),
	}
}

func setOrNone(secret string) string {
	if secret == "" {
		return "none"
	}
	return "set"
}

func allowed(yes bool) string {
	if yes {
		return "allowed"
	}
	return "refused"
}

// now is the board's clock.
func now() time.Time { return time.Now() }

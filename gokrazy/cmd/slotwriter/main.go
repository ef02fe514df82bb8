// Command slotwriter writes an update into the slot that does not run. Init starts it on demand,
// without a network; it takes nothing but a spooled update, in which it believes nothing.
//
// It checks signature, board, order of versions, sizes and hashes, and that the new slot is whole,
// before it writes anything. Then: the folder of the other slot goes; its root is written; its
// files are written, and the folder appears with the last sector; all of it is read back from the
// card and compared. What is not in the spool is copied from the running slot. Nothing that says
// which slot starts is changed here: that is init's, afterwards. A power cut or a failure leaves a
// card that starts as before, and the next attempt begins anew.
//
// It opens the card as root and goes on as nobody, with the right to read the spool and to write
// two partitions. It owns them while it runs: the kernel refuses a partition that is mounted.
//
//	slotwriter --spool DIR --disk /dev/X --running a|b --board NAME [--keys FILE] [--json]
//	slotwriter --root FILE --disk /dev/X --running a|b --board NAME [--json]
//
// The second form writes an unsigned root with the running slot's kernel, for an owner who allows
// gokrazy's protocol. Exit status: 1 and one line on stderr that begins "slotwriter: " if nothing
// was changed or the other slot is empty now, 2 for wrong arguments. Progress is on stderr, too, in
// lines that begin "slotwriter PROGRESS ".
//
// Memory: one buffer of a megabyte for files and one for each opened part of the card.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/privileges"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// nobodyID is a user and group that owns no files.
const nobodyID = 65534

// version is the version of the tree, put in with -ldflags "-X main.version=…" by scripts/build.
var version = "unknown"

// maxKeys is above what the file of keys has, in bytes.
const maxKeys = 64 << 10

// An outcome is what is printed of a slot that was written.
type outcome struct {
	Version      string  `json:"version"`
	Index        int64   `json:"index"`
	BytesWritten int64   `json:"bytes_written"`
	Seconds      float64 `json:"seconds"`
}

// arguments are those of the command line.
type arguments struct {
	spool, root, disk, keys string
	running                 slot.Name
	board                   board.Board
	json                    bool
}

func main() {
	if slices.Equal(os.Args[1:], []string{"--version"}) {
		fmt.Println("slotwriter", version)
		return
	}
	args, err := parseArguments(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "slotwriter: %v\n", err)
		os.Exit(2)
	}
	started := time.Now()
	done, err := run(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "slotwriter: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
	done.Seconds = time.Since(started).Seconds()
	if !args.json {
		fmt.Printf("version %s is in slot %s: %d bytes written in %.1f s\n", done.Version, args.running.Other(),
			done.BytesWritten, done.Seconds)
		return
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		fmt.Fprintf(os.Stderr, "slotwriter: %v\n", err)
		os.Exit(1)
	}
}

func parseArguments(list []string) (args arguments, err error) {
	flags := flag.NewFlagSet("slotwriter", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&args.spool, "spool", "", "folder with the update")
	flags.StringVar(&args.root, "root", "", "file with an unsigned root")
	flags.StringVar(&args.disk, "disk", "", "the card's block device")
	flags.StringVar(&args.keys, "keys", "", "file with update keys of the configuration, one a line")
	flags.BoolVar(&args.json, "json", false, "print one JSON object")
	running := flags.String("running", "", "the slot that runs")
	boardName := flags.String("board", "", "the board")
	if err := flags.Parse(list); err != nil {
		return args, err
	}
	if args.running, err = slot.ParseName(*running); err != nil {
		return args, err
	}
	if args.board, err = board.ByName(*boardName); err != nil {
		return args, err
	}
	switch {
	case flags.NArg() > 0:
		return args, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case args.disk == "" || (args.spool == "") == (args.root == ""):
		return args, errors.New("wants --disk and one of --spool and --root")
	}
	return args, nil
}

// run opens what needs root, gives root up, and writes the slot.
func run(args arguments) (outcome, error) {
	var configured []string
	if args.keys != "" {
		text, err := openfile.Read(args.keys, maxKeys)
		if err != nil {
			return outcome{}, fmt.Errorf("keys: %w", err)
		}
		configured = strings.Fields(string(text))
	}
	c, err := openCard(args.disk, args.running)
	if err != nil {
		return outcome{}, err
	}
	defer c.close()
	in, err := openInput(args.spool, args.root)
	if err != nil {
		return outcome{}, err
	}
	defer in.close()
	// The spool belongs to camweb, in whose place somebody else may be.
	if err := privileges.Drop(nobodyID, unix.CAP_DAC_READ_SEARCH); err != nil {
		return outcome{}, fmt.Errorf("drop privileges: %w", err)
	}
	w := &writer{card: c, in: in, board: args.board, running: args.running, configured: configured,
		progress: printProgress(os.Stderr, time.Now)}
	return w.update()
}

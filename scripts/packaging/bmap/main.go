// Command bmap writes the block map of an image: which blocks bmaptool must write to a card.
//
//	bmap IMAGE -o IMAGE.bmap
//
// A block that is zero in the image can be left out only if nobody ever reads it before it is
// written: bmaptool leaves there what the card held before. A zero in a FAT means "free cluster",
// and a zero in ext4's journal means "nothing to replay", so these are written. What may be left
// out is free space of the file systems and the end of a partition behind a squashfs: see layout.go.
//
// Sources: bmap format 2.0 of bmap-tools, whose bmaptool reads the result in the tests.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	flags := flag.NewFlagSet("bmap", flag.ExitOnError)
	out := flags.String("o", "", "write the map to this `file`")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: bmap IMAGE -o FILE\n")
		flags.PrintDefaults()
	}
	image := parse(flags, os.Args[1:])
	if image == "" || *out == "" {
		flags.Usage()
		os.Exit(2)
	}
	if err := writeMap(image, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bmap:", err)
		os.Exit(1)
	}
}

// parse reads flags before and behind the one name; more than one give none.
func parse(flags *flag.FlagSet, args []string) (image string) {
	_ = flags.Parse(args) // it ends the program
	image, args = flags.Arg(0), flags.Args()
	if image != "" {
		_ = flags.Parse(args[1:])
	}
	if flags.NArg() > 0 {
		return ""
	}
	return image
}

// writeMap leaves no half a map behind.
func writeMap(image, out string) error {
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("%s: %w", image, err)
	}
	m, err := mapImage(f, size)
	if err != nil {
		return fmt.Errorf("%s: %w", image, err)
	}
	text, err := m.xml(f)
	if err != nil {
		return fmt.Errorf("%s: %w", image, err)
	}
	if err := os.WriteFile(out+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(out+".new", out)
}

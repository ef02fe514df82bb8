// Command imager writes the list of images that Raspberry Pi Imager reads as a content repository,
// so that a person chooses a krazycam image there and has it downloaded, checked and written.
//
//	imager --version v0.2.0 --base-url URL --date 2026-11-28 -o krazycam-imager.json rpi=FILE.img.xz bbb=FILE.img.xz
//
// The files must have the names under which they can be fetched below the base URL. Where FILE.img.bmap
// lies beside FILE.img.xz, it is named, too. Size and SHA-256 of what is packed are taken by unpacking
// with xz, once.
//
// Source: os-list-schema.json of Raspberry Pi Imager 2 (github.com/raspberrypi/rpi-imager, doc/json-schema),
// and what its oslistmodel.cpp and hwlistmodel.cpp read.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	flags := flag.NewFlagSet("imager", flag.ExitOnError)
	var r release
	flags.StringVar(&r.version, "version", "", "version of the images, such as v0.2.0")
	flags.StringVar(&r.baseURL, "base-url", "", "`URL` of the folder that the images are fetched from")
	flags.StringVar(&r.date, "date", "", "day of the release, as `YYYY-MM-DD`")
	flags.StringVar(&r.iconURL, "icon", iconURL, "`URL` of the icon that is shown beside the images")
	out := flags.String("o", "", "write the list to this `file`")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: imager --version V --base-url URL --date D -o FILE BOARD=FILE.img.xz…")
		flags.PrintDefaults()
	}
	_ = flags.Parse(os.Args[1:]) // it ends the program
	if err := r.check(flags.Args()); err != nil || *out == "" {
		if err != nil {
			fmt.Fprintln(os.Stderr, "imager:", err)
		}
		flags.Usage()
		os.Exit(2)
	}
	if err := r.write(*out, flags.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "imager:", err)
		os.Exit(1)
	}
}

// A release is what all images of one list share.
type release struct{ version, baseURL, date, iconURL string }

// check finds what would make a list that Imager shows and cannot use.
func (r release) check(images []string) error {
	if r.version == "" {
		return fmt.Errorf("--version: must be given")
	}
	for name, u := range map[string]string{"--base-url": r.baseURL, "--icon": r.iconURL} {
		if !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "file:///") {
			return fmt.Errorf("%s %q: must begin with https://, http:// or file:///: Imager wants whole URLs", name, u)
		}
	}
	if _, err := time.Parse(time.DateOnly, r.date); err != nil {
		return fmt.Errorf("--date %q: must be a day as YYYY-MM-DD", r.date)
	}
	if len(images) == 0 {
		return fmt.Errorf("needs at least one BOARD=FILE.img.xz")
	}
	for _, arg := range images {
		name, path, _ := strings.Cut(arg, "=")
		if _, ok := boards[name]; !ok || !strings.HasSuffix(path, ".img.xz") {
			return fmt.Errorf("%q: must be rpi=FILE.img.xz or bbb=FILE.img.xz", arg)
		}
	}
	return nil
}

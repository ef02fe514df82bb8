// Command oci packs camserver as a container image, in one tar file that both podman load and docker load
// take. No daemon is needed, and the same input makes the same bytes.
//
//	oci --version v0.2.0 --date SECONDS --arch amd64 --camserver FILE --doc NOTICE --doc LICENSE -o FILE.oci.tar
//
// The image has nothing but the program, its licences and an empty /state, and runs as a user without
// rights. It is for one processor: Docker's older store takes no tar of several.
//
// Source: the OCI image specification, version 1.1 (image-layout.md, config.md).
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func main() {
	flags := flag.NewFlagSet("oci", flag.ExitOnError)
	var o options
	flags.StringVar(&o.version, "version", "", "version of camserver, such as v0.2.0")
	seconds := flags.Int64("date", 0, "time of everything in it, in Unix `seconds`: the commit's")
	flags.StringVar(&o.arch, "arch", "amd64", "processor of camserver: amd64 or arm64")
	flags.StringVar(&o.camserver, "camserver", "", "static camserver for Linux: a `file`")
	flags.Func("doc", "`file` for the folder of licences; repeatable", func(path string) error {
		o.docs = append(o.docs, path)
		return nil
	})
	out := flags.String("o", "", "write the image to this `file`")
	_ = flags.Parse(os.Args[1:]) // it ends the program
	o.created = time.Unix(*seconds, 0).UTC()
	if err := o.check(*seconds, *out, flags.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "oci:", err)
		flags.Usage()
		os.Exit(2)
	}
	if err := o.write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "oci:", err)
		os.Exit(1)
	}
}

type options struct {
	version, arch, camserver string
	docs                     []string
	created                  time.Time
}

func (o options) check(seconds int64, out string, rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected %q", rest[0])
	case o.version == "" || o.camserver == "" || out == "" || seconds <= 0:
		return errors.New("needs --version, --date, --camserver and -o")
	case !slices.Contains([]string{"amd64", "arm64"}, o.arch):
		return fmt.Errorf("--arch %q: must be amd64 or arm64", o.arch)
	case strings.Trim(tagOf(o.version), ".-") == "":
		return fmt.Errorf("--version %q: has no letter or digit", o.version)
	}
	return nil
}

// tagOf makes a tag of a version: a tag has no + and at most 128 characters.
func tagOf(version string) string {
	tag := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, version)
	return tag[:min(len(tag), 128)]
}

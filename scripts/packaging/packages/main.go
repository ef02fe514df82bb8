// Command packages makes what a Linux system installs of the PC programs camsource and camctl: .deb,
// .rpm, .apk and tar.xz.
//
//	packages --version v0.2.0 --time 1767225600 [--top DIR] [--programs DIR] [--share DIR] [--out DIR]
//	         [--only PRODUCT/ARCH]
//
// It packs what is there: scripts/build --pc makes the programs, scripts/manual man pages and completion.
// scripts/packages calls all three. The same inputs give the same bytes: every date is --time.
//
// Exit codes: 0 done, 1 it failed, 2 it was called wrongly.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

var errUsage = errors.New("wrong usage")

// A release is what all packages of one version share.
type release struct {
	version  string // v0.2.0, or v0.2.0-dev+0123456789ab of an untagged commit
	time     time.Time
	top      string // the source tree, for LICENSE, NOTICE, CHANGELOG.md and the texts of licences
	programs string // ARCH/camsource and ARCH/camctl
	share    string // man/man1, completion/bash and so on
	out      string
	only     string // PRODUCT/ARCH, "" for all
}

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(exitUsage)
	default:
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(exitFailed)
	}
}

// run is main with its surroundings passed in. It prints the path of each package.
func run(args []string, stdout, stderr io.Writer) error {
	r, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	staged, err := os.MkdirTemp("", "krazycam-packages-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(staged)
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	for _, p := range products() {
		for _, arch := range architectures() {
			if r.only != "" && r.only != p.name+"/"+arch.folder {
				continue
			}
			paths, err := r.makeAll(p, arch, filepath.Join(staged, p.name+"-"+arch.folder))
			if err != nil {
				return fmt.Errorf("%s for %s: %w", p.name, arch.folder, err)
			}
			for _, path := range paths {
				fmt.Fprintln(stdout, path)
			}
		}
	}
	return nil
}

// versionForm is what scripts/version prints: semantic versions, with at most one word before the commit.
var versionForm = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9a-z]+)?(\+[0-9a-z.]+)?$`)

func parseFlags(args []string, stderr io.Writer) (release, error) {
	var r release
	var seconds int64
	f := flag.NewFlagSet("packages", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&r.version, "version", "", "`VERSION` of the packages, as scripts/version prints it")
	f.Int64Var(&seconds, "time", 0, "`SECONDS` since 1970: every date in the packages")
	f.StringVar(&r.top, "top", ".", "`FOLDER` of the source tree")
	f.StringVar(&r.programs, "programs", "out/pc", "`FOLDER` of what scripts/build --pc made")
	f.StringVar(&r.share, "share", "out/share", "`FOLDER` of what scripts/manual made")
	f.StringVar(&r.out, "out", "out/packages", "`FOLDER` for the packages")
	f.StringVar(&r.only, "only", "", "`PRODUCT/ARCH`, such as camsource/amd64: make the packages of this one alone")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return release{}, err
		}
		return release{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	switch {
	case f.NArg() > 0:
		return release{}, fmt.Errorf("%w: unexpected %q", errUsage, f.Arg(0))
	case !versionForm.MatchString(r.version):
		return release{}, fmt.Errorf("%w: --version %q: want such as v0.2.0", errUsage, r.version)
	case r.only != "" && !slices.Contains(names(), r.only):
		return release{}, fmt.Errorf("%w: --only %q: one of %s", errUsage, r.only, strings.Join(names(), ", "))
	case seconds <= 0:
		return release{}, fmt.Errorf("%w: --time %d: want the commit's, in seconds since 1970", errUsage, seconds)
	}
	r.time = time.Unix(seconds, 0).UTC()
	return r, nil
}

// names lists what --only takes.
func names() []string {
	var all []string
	for _, p := range products() {
		for _, a := range architectures() {
			all = append(all, p.name+"/"+a.folder)
		}
	}
	return all
}

// The copyright file of a package, and notices.gz beside it: the texts that whoever passes on a static program
// must pass on with it.

package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// ourModule is in every program; its licence comes first.
const ourModule = "github.com/krazycam/krazycam"

// copyright is our own licence, and the names of all that is linked.
func (r release) copyright(p product, modules []debug.Module) ([]byte, error) {
	licence, err := os.ReadFile(filepath.Join(r.top, "LICENSE"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s is part of krazycam, https://%s.\n\n%s\n", p.name, ourModule, licence)
	fmt.Fprintf(&b, "%s is one static program. It links the parts below, whose copyright notices and licences stand\n"+
		"in /usr/share/doc/%[1]s/notices.gz. Debian has the Apache License, Version 2.0, which some of them have,\n"+
		"in /usr/share/common-licenses/Apache-2.0, and the GNU Lesser General Public License of the C library,\n"+
		"version 2.1, in /usr/share/common-licenses/LGPL-2.1.\n\n", p.name)
	if p.codecs {
		b.WriteString("  libvpx, libyuv, libjpeg-turbo, glibc (Debian source packages)\n")
	}
	for _, m := range modules {
		fmt.Fprintf(&b, "  %s %s\n", m.Path, m.Version)
	}
	return b.Bytes(), nil
}

// notices joins the licence texts of all that is linked. One that is missing is an error.
func (r release) notices(p product, modules []debug.Module) ([]byte, error) {
	var b bytes.Buffer
	for _, m := range modules {
		folder, err := r.moduleFolder(m)
		if err != nil {
			return nil, err
		}
		if err := writeLicences(&b, m.Path+" "+m.Version, folder, licenceName); err != nil {
			return nil, err
		}
	}
	if p.codecs {
		folder := filepath.Join(r.top, "gokrazy", "image", "licences")
		if err := writeLicences(&b, "C libraries, by Debian's copyright files", folder, anyText); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

var (
	licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)`)
	anyText     = regexp.MustCompile(`\.txt$`)
)

// linkedModules lists what a program says that it was built of, Go itself first.
func linkedModules(program string) ([]debug.Module, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	version, _, _ := strings.Cut(info.GoVersion, " ")
	all := []debug.Module{{Path: "std", Version: version}}
	for _, m := range info.Deps {
		all = append(all, *m)
	}
	slices.SortFunc(all[1:], func(a, b debug.Module) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// moduleFolder is where the go command keeps a module's source.
func (r release) moduleFolder(m debug.Module) (string, error) {
	args := []string{"list", "-m", "-f", "{{.Dir}}", m.Path}
	if m.Path == "std" {
		args = []string{"env", "GOROOT"}
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = r.top
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("licence of %s: go %s: %w: %s", m.Path, args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	folder := strings.TrimSpace(string(out))
	if folder == "" {
		return "", fmt.Errorf("licence of %s: not in the module cache: go mod download", m.Path)
	}
	return folder, nil
}

// writeLicences adds all files of a folder whose names match.
func writeLicences(b *bytes.Buffer, what, folder string, match *regexp.Regexp) error {
	list, err := os.ReadDir(folder) // sorted
	if err != nil {
		return err
	}
	found := false
	for _, f := range list {
		if !f.Type().IsRegular() || !match.MatchString(f.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "==== %s: %s ====\n\n%s\n\n", what, f.Name(), bytes.TrimSpace(text))
		found = true
	}
	if !found {
		return fmt.Errorf("%s: no licence in %s", what, folder)
	}
	return nil
}

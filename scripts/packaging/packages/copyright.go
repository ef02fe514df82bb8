// The copyright file of a package: our licence, and that of everything that the program links.

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

// copyright joins all licence texts. A program may only be passed on with them, so one that is missing is an
// error.
func (r release) copyright(p product, program string) ([]byte, error) {
	var b bytes.Buffer
	licence, err := os.ReadFile(filepath.Join(r.top, "LICENSE"))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "%s is part of krazycam, https://%s.\n\n%s\n", p.name, ourModule, licence)
	b.WriteString("It is one static program. What it links of others has the licences that follow.\n")
	modules, err := linkedModules(program)
	if err != nil {
		return nil, err
	}
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
		if m.Path == ourModule {
			continue
		}
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
		fmt.Fprintf(b, "\n==== %s: %s ====\n\n%s\n", what, f.Name(), bytes.TrimSpace(text))
		found = true
	}
	if !found {
		return fmt.Errorf("%s: no licence in %s", what, folder)
	}
	return nil
}

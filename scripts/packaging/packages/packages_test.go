package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// sources has what the programs need, with a real Go program in the place of each that is packed.
func sources(t *testing.T) (programs, share string) {
	t.Helper()
	dir := t.TempDir()
	programs, share = filepath.Join(dir, "pc"), filepath.Join(dir, "share")
	write := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	source := filepath.Join(dir, "main.go")
	write(source, "package main\n\nfunc main() {}\n")
	for _, p := range products() {
		program := filepath.Join(programs, "amd64", p.name)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS=linux")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build a program: %v: %s", err, out)
		}
		write(filepath.Join(share, "man/man1", p.name+".1"), ".TH "+p.name+" 1\n")
		write(filepath.Join(share, "completion/bash", p.name), "complete\n")
		write(filepath.Join(share, "completion/zsh", "_"+p.name), "#compdef\n")
		write(filepath.Join(share, "completion/fish", p.name+".fish"), "complete\n")
	}
	return programs, share
}

// makePackages makes those of camsource for amd64.
func makePackages(t *testing.T, programs, share, version string) map[string][]byte {
	t.Helper()
	return makeOnly(t, programs, share, version, "camsource/amd64")
}

// makeOnly runs the program for one product and architecture and gives the names and bytes of what it made.
func makeOnly(t *testing.T, programs, share, version, only string) map[string][]byte {
	t.Helper()
	out := t.TempDir()
	var stdout, stderr bytes.Buffer
	err := run([]string{"--version", version, "--time", "1767225600", "--top", "../../..", "--programs", programs,
		"--share", share, "--out", out, "--only", only}, &stdout, &stderr)
	if err != nil {
		t.Fatalf("packages: %v\n%s", err, &stderr)
	}
	made := map[string][]byte{}
	for _, path := range strings.Fields(stdout.String()) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		made[filepath.Base(path)] = b
	}
	return made
}

func TestSameInputsMakeTheSameBytesUnderConventionalNames(t *testing.T) {
	programs, share := sources(t)
	first := makePackages(t, programs, share, "v0.2.0")
	second := makePackages(t, programs, share, "v0.2.0")
	for _, name := range []string{"camsource_0.2.0-1_amd64.deb", "camsource-0.2.0-1.x86_64.rpm",
		"camsource_0.2.0-r0_x86_64.apk", "camsource-v0.2.0-linux-amd64.tar.xz"} {
		if len(first[name]) == 0 {
			t.Errorf("%s was not made", name)
		}
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s made twice is not the same bytes", name)
		}
	}
	if len(first) != 4 {
		t.Errorf("made %d packages, want 4", len(first))
	}
}

func TestAnUntaggedVersionIsOlderThanTheReleaseAndNamesItsCommit(t *testing.T) {
	programs, share := sources(t)
	made := makePackages(t, programs, share, "v0.2.0-dev+0123456789ab")
	for _, name := range []string{"camsource_0.2.0~dev+0123456789ab-1_amd64.deb",
		"camsource-0.2.0~dev+0123456789ab-1.x86_64.rpm", "camsource_0.2.0_pre-r0_x86_64.apk"} {
		if len(made[name]) == 0 {
			t.Errorf("%s was not made", name)
		}
	}
}

func TestTheArchiveHasEveryFileOnceWithRootAsOwner(t *testing.T) {
	programs, share := sources(t)
	made := makePackages(t, programs, share, "v0.2.0")
	packed, err := xz.NewReader(bytes.NewReader(made["camsource-v0.2.0-linux-amd64.tar.xz"]))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for r := tar.NewReader(packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[h.Name]; twice || h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1767225600 {
			t.Errorf("%s: twice %t, owner %d:%d, time %v", h.Name, twice, h.Uid, h.Gid, h.ModTime)
		}
		got[h.Name] = h.Mode
	}
	for name, mode := range map[string]int64{
		"usr/bin/camsource": 0o755, "etc/krazycam/krazycam.json": 0o640, "usr/share/man/man1/camsource.1.gz": 0o644,
		"usr/lib/systemd/system/camsource.service": 0o644, "usr/share/doc/camsource/notices.gz": 0o644,
	} {
		if got["camsource-v0.2.0-linux-amd64/"+name] != mode {
			t.Errorf("%s has mode %o, want %o", name, got["camsource-v0.2.0-linux-amd64/"+name], mode)
		}
	}
	if _, there := got["camsource-v0.2.0-linux-amd64/etc/init.d/camsource"]; there {
		t.Error("the archive has the init script of Alpine")
	}
}

func TestAWrongCommandLineIsSaidInOneLine(t *testing.T) {
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"no version", "--version", []string{"--time", "1"}},
		{"a version without v", "--version", []string{"--version", "0.2.0", "--time", "1"}},
		{"a version with a path", "--version", []string{"--version", "v0.2.0-../x", "--time", "1"}},
		{"no time", "--time", []string{"--version", "v0.2.0"}},
		{"an unknown product", "camctl/armhf", []string{"--version", "v0.2.0", "--time", "1", "--only", "cam/amd64"}},
		{"a word too many", "unexpected", []string{"--version", "v0.2.0", "--time", "1", "more"}},
	} {
		err := run(c.args, io.Discard, io.Discard)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want wrong usage that names %s", c.name, err, c.want)
		}
	}
}

func TestAMissingProgramNamesTheScriptThatMakesIt(t *testing.T) {
	_, share := sources(t)
	err := run([]string{"--version", "v0.2.0", "--time", "1", "--top", "../../..", "--programs", t.TempDir(),
		"--share", share, "--out", t.TempDir()}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "scripts/build --pc amd64") {
		t.Errorf("got %v, want one that names scripts/build --pc amd64", err)
	}
}

// A file that no product names would be packed by nobody.
func TestEveryFileBelongsToAProduct(t *testing.T) {
	var named []string
	for _, p := range products() {
		for _, f := range p.files {
			named = append(named, f.source)
		}
	}
	for _, s := range serviceScripts() {
		named = append(named, s.preinstall, s.postinstall, s.preremove, s.postremove)
	}
	list, err := files.ReadDir("files")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !slices.Contains(named, f.Name()) {
			t.Errorf("files/%s is in no product", f.Name())
		}
	}
}

func TestTheScriptsOfAServiceAreFilledIn(t *testing.T) {
	for _, p := range products() {
		if p.service == nil {
			continue
		}
		for kind := range serviceScripts() {
			dir := t.TempDir()
			if _, err := (release{}).writeScripts(dir, p, kind); err != nil {
				t.Fatal(err)
			}
			list, err := os.ReadDir(dir)
			if err != nil || len(list) == 0 {
				t.Fatalf("%s: %d scripts, %v", kind, len(list), err)
			}
			for _, f := range list {
				script, err := os.ReadFile(filepath.Join(dir, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(script, []byte("@")) || !bytes.Contains(script, []byte(p.name)) {
					t.Errorf("%s of %s has a gap, or not its name:\n%s", f.Name(), p.name, script)
				}
				if out, err := exec.Command("sh", "-n", filepath.Join(dir, f.Name())).CombinedOutput(); err != nil {
					t.Errorf("%s of %s: %v: %s", f.Name(), p.name, err, out)
				}
			}
		}
	}
}

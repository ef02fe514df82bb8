// Programs that are built once: a board's, and what must not get onto one.

package imagetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// A Kind is a way to build a program.
type Kind string

// The kinds.
const (
	Plain   Kind = "plain"   // arm64, static, -tags gokrazy
	Cgo     Kind = "cgo"     // the same with cgo
	Dynamic Kind = "dynamic" // cgo, not static
	Foreign Kind = "foreign" // amd64
	Bare    Kind = "bare"    // without -tags gokrazy
	Plain32 Kind = "plain32" // as Plain, for 32-bit ARM
	Cgo32   Kind = "cgo32"   // as Cgo, for 32-bit ARM
)

const (
	stripped = "-s -w -buildid="
	shared   = stripped + " -linkmode external"
	static   = shared + " -extldflags -static"
)

// CopyProgram puts a program of a kind where a part is looked for.
func CopyProgram(t testing.TB, kind Kind, path ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(programs(t, kind), string(kind)))
	if err != nil {
		t.Fatal(err)
	}
	Put(t, b, path...)
}

// programs gives the folder of all programs for the architecture of a kind.
func programs(t testing.TB, kind Kind) string {
	t.Helper()
	compiler, build := "aarch64-linux-gnu-gcc", build64
	if kind == Plain32 || kind == Cgo32 {
		compiler, build = "arm-linux-gnueabihf-gcc", build32
	}
	need.Tools(t, compiler)
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return Folder()
}

var writeSource = sync.OnceValue(func() error {
	for name, text := range map[string]string{
		"go.mod":            "module github.com/krazycam/krazycam\ngo 1.26\n",
		"src/plain/main.go": "package main\nfunc main() { println(\"plain\") }\n",
		"src/cgo/main.go": "package main\n/* int one(void) { return 1; } */\nimport \"C\"\n" +
			"func main() { println(C.one()) }\n",
	} {
		file := filepath.Join(Folder(), name)
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644))
		if err != nil {
			return err
		}
	}
	return nil
})

var build64 = sync.OnceValue(func() error {
	arm, amd := []string{"GOARCH=arm64", "CC=aarch64-linux-gnu-gcc"}, []string{"GOARCH=amd64"}
	return errors.Join(
		writeSource(),
		build(Plain, "./src/plain", "gokrazy", stripped, "0", arm),
		build(Cgo, "./src/cgo", "gokrazy,netgo,osusergo", static, "1", arm),
		build(Dynamic, "./src/cgo", "gokrazy", shared, "1", arm),
		build(Foreign, "./src/plain", "gokrazy", stripped, "0", amd),
		build(Bare, "./src/plain", "netgo", stripped, "0", arm),
	)
})

var build32 = sync.OnceValue(func() error {
	arm := []string{"GOARCH=arm", "GOARM=7", "CC=arm-linux-gnueabihf-gcc"}
	const tags = "gokrazy,netgo,osusergo"
	return errors.Join(
		writeSource(),
		build(Plain32, "./src/plain", tags, stripped, "0", arm),
		build(Cgo32, "./src/cgo", tags, static, "1", arm),
	)
})

func build(kind Kind, pkg, tags, ldflags, cgo string, env []string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", tags, "-ldflags", ldflags,
		"-o", filepath.Join(Folder(), string(kind)), pkg)
	cmd.Dir = Folder()
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED="+cgo,
		"GOFLAGS=", "CGO_CFLAGS=", "CGO_LDFLAGS=", "GOWORK=off")
	cmd.Env = append(cmd.Env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", kind, err, out)
	}
	return nil
}

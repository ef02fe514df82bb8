package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func testOptions(t *testing.T, program string) options {
	t.Helper()
	licence := filepath.Join(t.TempDir(), "LICENSE")
	if err := os.WriteFile(licence, []byte("licence"), 0o600); err != nil {
		t.Fatal(err)
	}
	return options{
		version: "v0.2.0-dev+abc", arch: "amd64", camserver: program, docs: []string{licence},
		created: time.Unix(1_790_000_000, 0).UTC(),
	}
}

// aProgram is a file in the place of camserver, where it is not started.
func aProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "camserver")
	if err := os.WriteFile(path, bytes.Repeat([]byte("program"), 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func writeArchive(t *testing.T, o options) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "camserver.oci.tar")
	if err := o.write(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheSameInputMakesTheSameBytes(t *testing.T) {
	o := testOptions(t, aProgram(t))
	first, err := os.ReadFile(writeArchive(t, o))
	if err != nil {
		t.Fatal(err)
	}
	// Time of day and mode of the files do not count.
	if err := os.Chmod(o.camserver, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(o.camserver, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(writeArchive(t, o))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("one input made two archives")
	}
}

// Each digest and size of the layout is that of the blob; so it is for a reader of manifest.json.
func TestTheArchiveIsALayoutAndADockerArchive(t *testing.T) {
	o := testOptions(t, aProgram(t))
	archive := writeArchive(t, o)
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("layout: %v", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(manifest.Manifests); n != 1 {
		t.Fatalf("%d images, want 1", n)
	}
	want := repository + ":v0.2.0-dev-abc"
	if got := manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"]; got != want {
		t.Errorf("name = %q, want %q", got, want)
	}
	docker, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(docker); err != nil {
		t.Errorf("docker archive: %v", err)
	}
	checkConfig(t, docker)
}

func checkConfig(t *testing.T, img v1.Image) {
	t.Helper()
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Config.User != "65532:65532" {
		t.Errorf("user = %q: camserver must not run as root", cfg.Config.User)
	}
	if cfg.OS != "linux" || cfg.Architecture != "amd64" {
		t.Errorf("platform = %s/%s, want linux/amd64", cfg.OS, cfg.Architecture)
	}
}

func TestTheLayerHasTheProgramItsLicencesAndAPlaceForState(t *testing.T) {
	b, err := testOptions(t, aProgram(t)).layer()
	if err != nil {
		t.Fatal(err)
	}
	type owned struct {
		mode int64
		user int
	}
	got := map[string]owned{}
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = owned{h.Mode, h.Uid}
	}
	for name, want := range map[string]owned{
		"usr/bin/camserver": {0o755, 0}, "usr/share/doc/krazycam/LICENSE": {0o644, 0}, "state/": {0o755, user},
	} {
		if got[name] != want {
			t.Errorf("%s: mode and owner = %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 8 {
		t.Errorf("%d files and folders, want 8: %v", len(got), got)
	}
}

func TestAFileThatIsNotThereMakesNoArchive(t *testing.T) {
	o := testOptions(t, filepath.Join(t.TempDir(), "camserver"))
	out := filepath.Join(t.TempDir(), "a.oci.tar")
	if err := o.write(out); err == nil {
		t.Error("write gave no error")
	}
	left, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWrongUseIsRefused(t *testing.T) {
	good := options{version: "v1", arch: "amd64", camserver: "camserver"}
	if err := good.check(1, "out", nil); err != nil {
		t.Errorf("check = %v", err)
	}
	for name, change := range map[string]func(o *options){
		"no version":        func(o *options) { o.version = "" },
		"no program":        func(o *options) { o.camserver = "" },
		"unknown processor": func(o *options) { o.arch = "riscv" },
		"no tag":            func(o *options) { o.version = "+" },
	} {
		o := good
		change(&o)
		if err := o.check(1, "out", nil); err == nil {
			t.Errorf("%s: check gave no error", name)
		}
	}
	if good.check(0, "out", nil) == nil || good.check(1, "", nil) == nil || good.check(1, "out", []string{"x"}) == nil {
		t.Error("check takes no date, no file or a word too many")
	}
}

// manifest.json is what docker load reads: its paths must be those of the tar.
func TestManifestNamesBlobsOfTheArchive(t *testing.T) {
	archive := writeArchive(t, testOptions(t, aProgram(t)))
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, docker := map[string]bool{}, []dockerImage{}
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names[h.Name] = true
		if h.Name == "manifest.json" {
			if err := json.NewDecoder(r).Decode(&docker); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range append(docker[0].Layers, docker[0].Config) {
		if !names[name] {
			t.Errorf("manifest.json names %s, which is not in the archive", name)
		}
	}
}

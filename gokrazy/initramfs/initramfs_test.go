package initramfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const release = "6.1.0-50-armmp"

// kernelTree is a kernel's folder; each module is its path and its fields of .modinfo
// besides the release.
func kernelTree(builtIn, builtInInfo string, modules map[string][]string) fstest.MapFS {
	tree := fstest.MapFS{
		"kernel":                  {Mode: fs.ModeDir | 0o755},
		"modules.builtin":         {Data: []byte(builtIn)},
		"modules.builtin.modinfo": {Data: []byte(strings.ReplaceAll(builtInInfo, " ", "\x00"))},
	}
	for name, fields := range modules {
		fields = append(fields, "vermagic="+release+" SMP mod_unload ARMv7")
		tree["kernel/"+name+".ko"] = &fstest.MapFile{Data: exampleModule(fields)}
	}
	return tree
}

var exampleTree = kernelTree("kernel/lib/crc16.ko\nkernel/drivers/mmc/core/mmc_core.ko\n",
	"edma.license=GPL tracefs.alias=fs-tracefs", map[string][]string{
		"fs/ext4":           {"depends=jbd2,crc16", "softdep=pre: crypto-crc32c fs-tracefs"},
		"fs/jbd2":           {"depends="},
		"crypto/crc32c_gen": {"alias=crypto-crc32c", "alias=crc32c"},
		"media/uvc-video":   {"depends=video-dev,mc"},
		"media/video-dev":   {"depends=mc", "softdep=nonesense pre: nothing-there post: late_friend"},
		"media/mc":          nil,
		"media/late-friend": {"depends=mc", "softdep=pre: video-dev"}, // a soft circle
	})

// names are the modules' names in order.
func names(paths []string) string {
	var out []string
	for _, p := range paths {
		out = append(out, strings.TrimSuffix(path.Base(p), ".ko"))
	}
	return strings.Join(out, " ")
}

func build(t *testing.T, files fs.FS, early, late string) (Report, []byte, error) {
	t.Helper()
	var out bytes.Buffer
	r, err := Build(&out, Config{Init: []byte("\x7fELF init"), Modules: files,
		Early: strings.Fields(early), Late: strings.Fields(late)})
	return r, out.Bytes(), err
}

func TestBuildPutsEveryModuleBehindWhatItNeeds(t *testing.T) {
	for _, c := range []struct{ name, early, late, wantEarly, wantLate string }{
		{"needs come first, what is built in is no file", "ext4", "", "jbd2 crc32c_gen ext4", ""},
		{"a soft need is found by its alias", "", "ext4", "", "jbd2 crc32c_gen ext4"},
		{"names with - and _ are the same", "", "uvc_video", "", "mc video-dev late-friend uvc-video"},
		{"a module is not loaded twice", "mc mc", "uvc-video mc", "mc", "video-dev late-friend uvc-video"},
		{"what is built in is asked for in vain, without harm", "mmc_core mc", "", "mc", ""},
		{"nothing at all", "", "", "", ""},
	} {
		r, _, err := build(t, exampleTree, c.early, c.late)
		if err != nil || names(r.Early) != c.wantEarly || names(r.Late) != c.wantLate {
			t.Errorf("%s: early %q, late %q, %v, want %q and %q",
				c.name, names(r.Early), names(r.Late), err, c.wantEarly, c.wantLate)
		}
	}
}

func TestBuildTakesThePortableBearerOfAnAlias(t *testing.T) {
	modules := map[string][]string{
		"fs/ext4":          {"softdep=pre: crypto-crc32c"},
		"arm/crc32-arm-ce": {"alias=crypto-crc32c"}, "crypto/crc32c_generic": {"alias=crypto-crc32c"},
	}
	if r, _, err := build(t, kernelTree("", "", modules), "ext4", ""); err != nil ||
		names(r.Early) != "crc32c_generic ext4" {
		t.Errorf("with a generic one: %q, %v", names(r.Early), err)
	}
	if r, _, err := build(t, kernelTree("", "", modules), "crc32-arm-ce ext4", ""); err != nil ||
		names(r.Early) != "crc32-arm-ce ext4" {
		t.Errorf("with the board's own choice: %q, %v", names(r.Early), err)
	}
	modules["x86/crc32c-intel"] = modules["crypto/crc32c_generic"]
	delete(modules, "crypto/crc32c_generic")
	if r, _, err := build(t, kernelTree("", "", modules), "ext4", ""); err != nil ||
		names(r.Early) != "crc32-arm-ce crc32c-intel ext4" {
		t.Errorf("without a generic one: %q, %v", names(r.Early), err)
	}
}

func TestBuildReportsReleaseAndSizes(t *testing.T) {
	r, packed, err := build(t, exampleTree, "mmc_core mc", "ext4")
	if err != nil {
		t.Fatal(err)
	}
	want := Report{
		Release: release, Early: []string{"kernel/media/mc.ko"}, BuiltIn: []string{"mmc_core"},
		Late:   []string{"kernel/fs/jbd2.ko", "kernel/crypto/crc32c_gen.ko", "kernel/fs/ext4.ko"},
		Packed: int64(len(packed)), Unpacked: int64(len(unpack(t, packed))),
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestBuildIsAFunctionOfItsInput(t *testing.T) {
	_, first, err := build(t, exampleTree, "ext4", "uvc-video")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // maps come in another order each time
		if _, again, err := build(t, exampleTree, "ext4", "uvc-video"); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%d bytes, then %d others, %v", len(first), len(again), err)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	changed := func(name string, b []byte) fs.FS {
		tree := fstest.MapFS{}
		for n, f := range exampleTree {
			tree[n] = f
		}
		if tree[name] = (&fstest.MapFile{Data: b}); b == nil {
			delete(tree, name)
		}
		return tree
	}
	foreign := exampleModule([]string{"vermagic=6.12.47-v8 SMP aarch64"})
	for _, c := range []struct {
		name  string
		files fs.FS
		early string
		want  error
	}{
		{"a module that is not there", exampleTree, "nonesuch", ErrNoModule},
		{"a module whose need is not there", changed("kernel/fs/jbd2.ko", nil), "ext4", ErrNoModule},
		{"modules for two kernels", changed("kernel/fs/jbd2.ko", foreign), "ext4", ErrDamaged},
		{"a module that is none", changed("kernel/fs/jbd2.ko", []byte("#!/bin/sh\n")), "ext4", ErrDamaged},
		{"two modules of one name", changed("kernel/other/video_dev.ko", foreign), "mc", ErrDamaged},
		{"a huge module", changed("kernel/fs/jbd2.ko", make([]byte, maxModule+1)), "ext4", ErrDamaged},
		{"no list of what is built in", changed("modules.builtin", nil), "mc", fs.ErrNotExist},
		{"no folder", fstest.MapFS{}, "mc", fs.ErrNotExist},
	} {
		if r, _, err := build(t, c.files, c.early, ""); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, r, err, c.want)
		}
	}
}

func TestBuildReportsAWriterThatFails(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(io.ErrShortWrite)
	if _, err := Build(w, Config{Modules: exampleTree, Early: []string{"mc"}}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Build to a full disk: %v", err)
	}
}

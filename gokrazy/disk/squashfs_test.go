package disk

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exampleRoot has folders, links, modes, blocks that do not shrink and more
// names than one metadata block or one folder header holds.
func exampleRoot() []Entry {
	noise := make([]byte, 3*sqfsBlockSize+17)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	all := []Entry{
		{Path: "gokrazy/init", Mode: 0o755, Bytes: noise},
		{Path: "user/camsource", Mode: 0o755, Bytes: bytes.Repeat([]byte("cam"), 200_000)},
		{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{Path: "var", Mode: fs.ModeSymlink | 0o777, Target: "/perm/var"},
		{Path: "etc/hosts", Mode: 0o644, Bytes: []byte("127.0.0.1 localhost\n")},
		{Path: "etc/empty", Mode: 0o400},
		{Path: "etc.d/after", Mode: 0o644, Bytes: []byte("sorts behind etc/")},
	}
	for i := range 700 {
		name := fmt.Sprintf("lib/modules/module-with-a-long-name-%03d.ko", i)
		all = append(all, Entry{Path: name, Mode: 0o644, Bytes: []byte{byte(i)}})
	}
	return all
}

func TestSquashFSReadsBackAsWritten(t *testing.T) {
	b, err := SquashFS(exampleRoot())
	if err != nil {
		t.Fatal(err)
	}
	tree, err := OpenSquashFS(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	checkTree(t, tree, exampleRoot())
	for _, e := range exampleRoot() {
		if info, err := tree.Lstat(e.Path); err != nil || info.Mode() != e.Mode {
			t.Errorf("%s: mode %v, %v; want %v", e.Path, info.Mode(), err, e.Mode)
		}
	}
	if target, err := tree.ReadLink("var"); target != "/perm/var" {
		t.Errorf("ReadLink(var) = %q, %v", target, err)
	}
	if tree.Used != int64(len(b)) {
		t.Errorf("Used = %d, want %d", tree.Used, len(b))
	}
}

func TestUnsquashfsUnpacksTheSameFiles(t *testing.T) {
	b, err := SquashFS(exampleRoot())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	img, out := filepath.Join(dir, "root.sqfs"), filepath.Join(dir, "out")
	if err := os.WriteFile(img, b, 0o644); err != nil {
		t.Fatal(err)
	}
	runTool(t, "unsquashfs", "-no-progress", "-d", out, img)
	for _, e := range exampleRoot() {
		info, err := os.Lstat(filepath.Join(out, e.Path))
		if err != nil || info.Mode() != e.Mode {
			t.Errorf("%s: %v, %v; want mode %v", e.Path, info, err, e.Mode)
			continue
		}
		if e.Mode.Type() == 0 {
			if got, err := os.ReadFile(filepath.Join(out, e.Path)); err != nil || !bytes.Equal(got, e.Bytes) {
				t.Errorf("%s: %d bytes, %v", e.Path, len(got), err)
			}
		}
	}
	if list := runTool(t, "unsquashfs", "-lls", img); strings.Count(list, "root/root") != 700+7+6+1 {
		t.Errorf("unsquashfs lists %d entries of root", strings.Count(list, "root/root"))
	}
}

func TestReadsWhatMksquashfsWrites(t *testing.T) {
	dir := t.TempDir()
	src, img := filepath.Join(dir, "src"), filepath.Join(dir, "root.sqfs")
	var want []Entry
	for i := range 40 {
		e := Entry{Path: fmt.Sprintf("d%d/f%d", i%3, i), Mode: 0o644, Bytes: bytes.Repeat([]byte{byte(i)}, i*9000)}
		want = append(want, e)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(src, e.Path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(src, e.Path), e.Bytes, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	runTool(t, "mksquashfs", src, img, "-comp", "gzip", "-no-fragments", "-no-xattrs", "-quiet", "-no-progress")
	f, err := os.Open(img)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := OpenSquashFS(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	checkTree(t, tree, want)
}

func TestSquashFSIsAFunctionOfItsFiles(t *testing.T) {
	a, err := SquashFS(exampleRoot())
	if err != nil {
		t.Fatal(err)
	}
	files := exampleRoot()
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	if b, err := SquashFS(files); err != nil || !bytes.Equal(a, b) {
		t.Errorf("other bytes for the same files in another order, %v", err)
	}
}

func TestSquashFSRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"a device", []Entry{{Path: "null", Mode: fs.ModeDevice}}, "only files, folders and links"},
		{"a name that is too long", []Entry{{Path: strings.Repeat("x", 256)}}, "can be 255"},
		{"an absolute path", []Entry{{Path: "/etc"}}, "not a clean relative path"},
	} {
		if _, err := SquashFS(c.entries); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
	}
}

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/scripts/packaging/need"
)

const mib = 1 << 20

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// parts of the test's card, in MiB: the sizes of our own card are 220, 256, 256, 512.
var testParts = []struct{ start, size int64 }{{4, 32}, {36, 16}, {52, 16}, {68, 64}}

const testSize = 133 * mib

// makeImage makes a card with the tools that make file systems elsewhere, and files in each.
func makeImage(t *testing.T, dir string) string {
	t.Helper()
	image := filepath.Join(dir, "card.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, testSize); err != nil {
		t.Fatal(err)
	}
	args := []string{image}
	for i, p := range testParts {
		args = append(args, "-n", fmt.Sprintf("%d:%dM:+%dM", i+1, p.start, p.size))
	}
	run(t, "sgdisk", args...)
	tree := filepath.Join(dir, "tree")
	for i := range 40 {
		name := filepath.Join(tree, fmt.Sprintf("folder-%d", i%3), fmt.Sprintf("file-%d", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, bytes.Repeat([]byte(name), 40*i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A file of zeros must be zeros on the card, too.
	if err := os.WriteFile(filepath.Join(tree, "zeros"), make([]byte, mib), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, make := range []func(out string){
		func(out string) {
			run(t, "mkfs.fat", "-C", "-F", "16", "-s", "4", out, fmt.Sprint(testParts[0].size*1024))
			run(t, "mcopy", "-s", "-i", out, tree, "::/")
		},
		func(out string) { run(t, "mksquashfs", tree, out, "-quiet", "-no-progress") },
		func(string) {},
		func(out string) {
			run(t, "mke2fs", "-q", "-t", "ext4", "-d", tree, out, fmt.Sprintf("%dM", testParts[3].size))
		},
	} {
		part := filepath.Join(dir, fmt.Sprint("part-", i+1))
		make(part)
		b, err := os.ReadFile(part)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		writeAt(t, image, b, testParts[i].start*mib)
	}
	return image
}

func writeAt(t *testing.T, path string, b []byte, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// usedCard is a card on which everything was something else.
func usedCard(t *testing.T, dir string, size int64) string {
	t.Helper()
	path := filepath.Join(dir, "card")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	junk := bytes.Repeat([]byte{0xa5, 0x5a, 0xff, 0x81}, mib/4)
	for at := int64(0); at < size; at += mib {
		if _, err := f.Write(junk); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// A card full of something else that bmaptool wrote by the map is whole: every file system is
// without fault, and every file is as in the image.
func TestBmaptoolMakesAWholeCardOfAUsedOne(t *testing.T) {
	need.Tools(t, "bmaptool", "sgdisk", "mkfs.fat", "mcopy", "mksquashfs", "unsquashfs", "mke2fs", "e2fsck", "debugfs")
	dir := t.TempDir()
	image := makeImage(t, dir)
	if err := writeMap(image, image+".bmap"); err != nil {
		t.Fatal(err)
	}
	device := usedCard(t, dir, testSize)
	// A regular file would be cut off and made anew, with holes: standard output keeps what is there.
	copyByMap(t, image, device)

	run(t, "sgdisk", "-v", device)
	for i, p := range testParts {
		part := filepath.Join(dir, fmt.Sprint("read-", i+1))
		run(t, "dd", "if="+device, "of="+part, "bs=1M", "status=none",
			fmt.Sprint("skip=", p.start), fmt.Sprint("count=", p.size))
	}
	run(t, "fsck.fat", "-n", filepath.Join(dir, "read-1"))
	run(t, "e2fsck", "-fn", filepath.Join(dir, "read-4"))
	for i, extract := range []func(to string){
		func(to string) { run(t, "mcopy", "-s", "-i", filepath.Join(dir, "read-1"), "::/tree", to) },
		func(to string) { run(t, "unsquashfs", "-q", "-n", "-d", to, filepath.Join(dir, "read-2")) },
		func(to string) {
			run(t, "mkdir", to)
			run(t, "debugfs", "-R", "rdump / "+to, filepath.Join(dir, "read-4"))
			_ = os.RemoveAll(filepath.Join(to, "lost+found"))
		},
	} {
		to := filepath.Join(dir, fmt.Sprint("files-", i))
		extract(to)
		run(t, "diff", "-r", filepath.Join(dir, "tree"), to)
	}
	empty, err := os.ReadFile(filepath.Join(dir, "read-3"))
	if err != nil || !bytes.Equal(empty[:blankStart], make([]byte, blankStart)) {
		t.Error("the start of the empty partition still has what the card held before")
	}
}

// copyByMap has bmaptool write to a loop device, or to the file itself where there is none.
func copyByMap(t *testing.T, image, card string) {
	t.Helper()
	need.Tools(t, "losetup")
	out, err := exec.Command("losetup", "--find", "--show", card).Output()
	if err != nil {
		writeByMap(t, image, card)
		return
	}
	loop := strings.TrimSpace(string(out))
	defer run(t, "losetup", "--detach", loop)
	run(t, "bmaptool", "copy", "--bmap", image+".bmap", image, loop)
}

// writeByMap writes to card what bmaptool wrote to a new file: the ranges of the map and no more.
func writeByMap(t *testing.T, image, card string) {
	t.Helper()
	run(t, "bmaptool", "copy", "--bmap", image+".bmap", image, card+".new")
	got, err := os.ReadFile(card + ".new")
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range readMap(t, image+".bmap").ranges {
		writeAt(t, card, got[run[0]*blockSize:min((run[1]+1)*blockSize, int64(len(got)))], run[0]*blockSize)
	}
}

type readBack struct {
	ranges [][2]int64
	count  int64
}

func readMap(t *testing.T, path string) readBack {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var x struct {
		Count  string   `xml:"MappedBlocksCount"`
		Ranges []string `xml:"BlockMap>Range"`
	}
	if err := xml.Unmarshal(b, &x); err != nil {
		t.Fatal(err)
	}
	var back readBack
	_, _ = fmt.Sscan(x.Count, &back.count)
	for _, text := range x.Ranges {
		var run [2]int64
		if n, _ := fmt.Sscanf(strings.TrimSpace(text), "%d-%d", &run[0], &run[1]); n == 1 {
			run[1] = run[0]
		}
		back.ranges = append(back.ranges, run)
	}
	return back
}

// bmaptool checks each range it reads: a map of another image is refused.
func TestBmaptoolRefusesAnImageThatIsNotTheMapped(t *testing.T) {
	need.Tools(t, "bmaptool", "sgdisk", "mkfs.fat", "mcopy", "mksquashfs", "mke2fs")
	dir := t.TempDir()
	image := makeImage(t, dir)
	if err := writeMap(image, image+".bmap"); err != nil {
		t.Fatal(err)
	}
	writeAt(t, image, []byte("x"), 20)
	out, err := exec.Command("bmaptool", "copy", image, filepath.Join(dir, "card")).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("checksum mismatch")) {
		t.Errorf("bmaptool copy = %v, want a checksum mismatch:\n%s", err, out)
	}
}

func TestFreeSpaceIsLeftOut(t *testing.T) {
	need.Tools(t, "sgdisk", "mkfs.fat", "mcopy", "mksquashfs", "mke2fs")
	dir := t.TempDir()
	image := makeImage(t, dir)
	first, second := filepath.Join(dir, "1"), filepath.Join(dir, "2")
	for _, out := range []string{first, second} {
		if err := writeMap(image, out); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := os.ReadFile(first)
	if b, _ := os.ReadFile(second); !bytes.Equal(a, b) {
		t.Error("one image made two maps")
	}
	back := readMap(t, first)
	mapped, all := back.count*blockSize, int64(testSize)
	t.Logf("%d of %d MiB are mapped in %d ranges", mapped/mib, all/mib, len(back.ranges))
	if mapped > all/3 {
		t.Errorf("%d of %d bytes are mapped, want a third at most", mapped, all)
	}
}

// The images of this tree, where they are built.
func TestOurImagesAreMapped(t *testing.T) {
	for _, board := range []string{"rpi", "bbb"} {
		image := filepath.Join("../../../out", board+".img")
		info, err := os.Stat(image)
		if os.IsNotExist(err) {
			t.Logf("%s is not there: scripts/image %s makes it", image, board)
			continue
		}
		out := filepath.Join(t.TempDir(), "bmap")
		if err := writeMap(image, out); err != nil {
			t.Fatal(err)
		}
		mapped := readMap(t, out).count * blockSize
		t.Logf("FIGURE block map %s: %d of %d MiB are written", board, mapped/mib, info.Size()/mib)
		if mapped > info.Size()/8 {
			t.Errorf("%s: %d of %d bytes are mapped, want an eighth at most", board, mapped, info.Size())
		}
	}
}

func TestAnImageWithoutGPTIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"zeros": make([]byte, mib), "nothing": nil, "not whole sectors": make([]byte, mib+1),
	} {
		if _, err := mapImage(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s: mapImage gave no error", name)
		}
	}
}

// gptOf is the least that readTable reads, with one partition from 1 MiB on.
func gptOf(size int64) []byte {
	b := make([]byte, size)
	le := binary.LittleEndian
	copy(b[512:], "EFI PART")
	le.PutUint64(b[512+72:], 2)
	le.PutUint32(b[512+80:], 4)
	le.PutUint32(b[512+84:], 128)
	b[1024] = 1
	le.PutUint64(b[1024+32:], mib/512)
	le.PutUint64(b[1024+40:], uint64(size/512)-1)
	return b
}

// Whatever a partition holds, what is not zero is mapped.
func TestAPartitionOfUnknownKindIsMappedWhole(t *testing.T) {
	b := gptOf(4 * mib)
	copy(b[3*mib:], "something")
	m, err := mapImage(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.ranges(); len(got) != 1 || got[0] != [2]int64{0, 4*mib/blockSize - 1} {
		t.Errorf("ranges = %v, want all blocks", got)
	}
}

func FuzzMapImage(f *testing.F) {
	f.Add([]byte("hsqs"), []byte{})
	f.Add(append(make([]byte, 54), "FAT16   "...), []byte{0x55, 0xaa})
	ext := make([]byte, 2048)
	binary.LittleEndian.PutUint16(ext[superAt+56:], 0xef53)
	f.Add(ext, []byte{1})
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		b := gptOf(4 * mib)
		copy(b[mib:2*mib], head)
		copy(b[mib+510:], tail)
		m, err := mapImage(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		zero := make([]byte, blockSize)
		for i, mapped := range m.mapped {
			if !mapped && !bytes.Equal(b[i*blockSize:][:blockSize], zero) {
				t.Fatalf("block %d has data and is not mapped", i)
			}
		}
	})
}

package card

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// go test ./gokrazy/card -run TestPermIsWhatMke2fsMakes -update
var update = flag.Bool("update", false, "write perm.ext4.gz anew, with this machine's mke2fs")

// perm.ext4.gz was made with this version, on amd64.
const permTool = "mke2fs 1.47.0"

// emptyExt4 is the file system as mke2fs makes it, with nothing in it that a clock
// or a random number decides.
func emptyExt4(t *testing.T) []byte {
	t.Helper()
	need.Tools(t, "mke2fs")
	const (
		id = "60c24cc1-f3f9-427a-8199-5b1ce00101ff"
		// What a kernel since 3.18 knows; the machine's own mke2fs.conf must not decide.
		// resize_inode keeps room for the descriptors of more groups: with it the kernel can grow
		// the file system while it is mounted.
		features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super," +
			"large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
		// 8 MiB that only root may fill: process 1 must be able to keep what it tries when a service in
		// foreign hands has filled the rest. mke2fs takes percent: 8 of 512.
		reserved = "1.5625"
	)
	file := newFile(t, PermSize)
	cmd := exec.Command("mke2fs", "-q", "-F",
		"-O", features, "-b", strconv.Itoa(permBlock), "-I", "256", "-m", reserved, "-i", "16384",
		"-J", "size=4", "-L", "perm", "-U", id, "-r", "1",
		"-E", fmt.Sprintf("resize=%d,hash_seed=%s,lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0",
			PermMost/permBlock, id), file)
	// 2026-01-01
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "MKE2FS_CONFIG=/dev/null",
		"E2FSPROGS_FAKE_TIME=1767225600", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v: %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// newFile is a file of zeros.
func newFile(t *testing.T, size int64) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "perm"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// usedBlocks says of each block whether the file system uses it. Spec: the kernel's
// Documentation/filesystems/ext4, "Block Group Descriptors", "Block and inode bitmaps".
func usedBlocks(b []byte) []bool {
	le := binary.LittleEndian
	const super, descriptorSize = 1024, 64
	perGroup := int(le.Uint32(b[super+32:]))
	used := make([]bool, len(b)/permBlock)
	for i := range used {
		descriptor := b[permBlock+i/perGroup*descriptorSize:]
		bitmap := b[int(le.Uint32(descriptor))*permBlock:]
		used[i] = bitmap[i%perGroup/8]>>(i%8)&1 != 0
	}
	return used
}

// packBlocks is what writePerm unpacks.
func packBlocks(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	used, zero := usedBlocks(b), make([]byte, permBlock)
	kind := func(i int) int { // what lies in a block: -1 nothing, 0 zeros, 1 bytes
		switch block := b[i*permBlock:][:permBlock]; {
		case !bytes.Equal(block, zero):
			return 1
		case used[i]:
			return 0
		}
		return -1
	}
	for i, count := 0, 1; i < len(used); i += count {
		for count = 1; i+count < len(used) && kind(i+count) == kind(i); count++ {
		}
		if kind(i) < 0 {
			continue
		}
		run := binary.LittleEndian.AppendUint32(nil, uint32(i))
		run = append(binary.LittleEndian.AppendUint32(run, uint32(count)), byte(kind(i)))
		if kind(i) == 1 {
			run = append(run, b[i*permBlock:][:count*permBlock]...)
		}
		if _, err := z.Write(run); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPermIsWhatMke2fsMakes(t *testing.T) {
	need.Tools(t, "mke2fs")
	about, err := exec.Command("mke2fs", "-V").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(about), permTool+" ") || runtime.GOARCH != "amd64" {
		t.Skipf("perm.ext4.gz is compared with %s on amd64; here is %.13s on %s", permTool, about, runtime.GOARCH)
	}
	want := emptyExt4(t)
	if *update {
		if err := os.WriteFile("perm.ext4.gz", packBlocks(t, want), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Skip("perm.ext4.gz is written: build again")
	}
	file := newFile(t, PermSize)
	write(t, file, WriteNewPerm)
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("perm.ext4.gz unpacks to other bytes than %s gives, %v", permTool, err)
	}
}

// write opens a file for one of the writers.
func write(t *testing.T, file string, into func(io.WriterAt) error) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(into(f), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestPermIsWholeWhateverLayThereBefore(t *testing.T) {
	need.Tools(t, "e2fsck", "resize2fs", "dumpe2fs")
	file := filepath.Join(t.TempDir(), "perm")
	if err := os.WriteFile(file, bytes.Repeat([]byte{0xa5}, PermSize), 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, file, WriteEmptyPerm)
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, append(args, file)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("e2fsck", "-f", "-n")
	// 32 GiB have 256 groups, whose descriptors of 64 bytes fill four blocks; one is in use.
	if about := run("dumpe2fs", "-h"); !regexp.MustCompile(`(?m)^Reserved GDT blocks: +3$`).MatchString(about) {
		t.Errorf("no room for the descriptors of %d GiB:\n%s", int64(PermMost)>>30, about)
	}
	if about := run("dumpe2fs", "-h"); !regexp.MustCompile(`(?m)^Reserved block count: +2048$`).MatchString(about) {
		t.Errorf("8 MiB are not reserved for root:\n%s", about)
	}
	if err := os.Truncate(file, 4*PermSize); err != nil {
		t.Fatal(err)
	}
	if grown := run("resize2fs", "-f"); !strings.Contains(grown, "is now 524288") {
		t.Errorf("resize2fs to four times the size: %s", grown)
	}
	run("e2fsck", "-f", "-n")
}

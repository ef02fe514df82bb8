package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// go test ./gokrazy/image -run TestPermIsWhatMke2fsMakes -update
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
		features = "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super," +
			"large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
	)
	file := newFile(t, card.PermSize)
	cmd := exec.Command("mke2fs", "-q", "-F",
		"-O", features, "-b", strconv.Itoa(permBlock), "-I", "256", "-m", "0", "-i", "16384",
		"-J", "size=4", "-L", "perm", "-U", id, "-r", "1",
		"-E", "hash_seed="+id+",lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0", file)
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

// packBlocks is what writePerm unpacks.
func packBlocks(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, permBlock)
	for i := 0; i < len(b); i += permBlock {
		if block := b[i:][:permBlock]; !bytes.Equal(block, zero) {
			number := binary.LittleEndian.AppendUint32(nil, uint32(i/permBlock))
			if _, err := z.Write(append(number, block...)); err != nil {
				t.Fatal(err)
			}
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
	file, err := os.OpenFile(newFile(t, card.PermSize), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := writePerm(file); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file.Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("perm.ext4.gz unpacks to other bytes than %s gives, %v", permTool, err)
	}
}

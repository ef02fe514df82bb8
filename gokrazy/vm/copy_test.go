package vm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCopySparseKeepsBytesAndHoles(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	want := make([]byte, 3<<20+17)
	copy(want[1<<20:], "data in the middle")
	copy(want[len(want)-4:], "last")
	src, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{1 << 20, len(want) - 4} {
		if _, err := src.WriteAt(bytes.TrimRight(want[at:min(at+4096, len(want))], "\x00"), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	if err := copySparse(to, from); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("copy of %d bytes differs (%v)", len(got), err)
	}
	if err := copySparse(to, from); !errors.Is(err, os.ErrExist) {
		t.Errorf("copySparse over a file = %v, want ErrExist", err)
	}
	if err := copySparse(filepath.Join(dir, "x"), dir); err == nil {
		t.Error("copySparse of a folder did not fail")
	}
}

func TestCopyRangeLeavesZerosOut(t *testing.T) {
	w := &writes{}
	src := make([]byte, 4*copyBlock)
	src[2*copyBlock+5] = 1
	if err := copyRange(w, bytes.NewReader(src), 0, int64(len(src))); err != nil {
		t.Fatal(err)
	}
	if want := []int64{2 * copyBlock}; !slices.Equal(w.at, want) {
		t.Errorf("blocks written at %v, want %v", w.at, want)
	}
}

type writes struct{ at []int64 }

func (w *writes) WriteAt(b []byte, at int64) (int, error) {
	w.at = append(w.at, at)
	return len(b), nil
}

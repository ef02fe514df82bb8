package perm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOverwriteKeepsTheFileWhereTheLengthStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	var last os.FileInfo
	for _, c := range []struct {
		content string
		same    bool // it is the file of before
	}{
		{"1767225600\n", false}, {"1767225601\n", true}, {"17672256010\n", false}, {"1\n", false}, {"2\n", true},
		{strings.Repeat("x", 600), false}, {strings.Repeat("y", 600), false},
	} {
		if err := Overwrite(path, 0o644, []byte(c.content)); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != c.content {
			t.Errorf("after Overwrite: %.20q, %v, want %.20q", b, err, c.content)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && os.SameFile(last, info) != c.same {
			t.Errorf("%.20q: the same file: %v", c.content, !c.same)
		}
		last = info
	}
	if err := Overwrite(t.TempDir(), 0o644, []byte("1")); err == nil {
		t.Error("a folder is overwritten")
	}
}

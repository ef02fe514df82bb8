package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// content is what a file holds and the names in its folder.
func content(t *testing.T, path string) (string, []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return string(b), names
}

func TestReplaceLeavesTheNewFileWithItsModeAndNothingElse(t *testing.T) {
	for name, replace := range map[string]func(string, fs.FileMode, func(*os.File) error) error{
		"Replace": Replace, "ReplaceDurably": ReplaceDurably,
	} {
		path := filepath.Join(t.TempDir(), "state")
		for _, want := range []struct {
			content string
			mode    fs.FileMode
		}{{"a long first content", 0o600}, {"second", 0o664}, {"", 0o640}} {
			if err := replace(path, want.mode, Bytes([]byte(want.content))); err != nil {
				t.Fatal(err)
			}
			got, names := content(t, path)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != want.content || info.Mode() != want.mode || len(names) != 1 {
				t.Errorf("%s left %q, mode %v, files %q, want %q, mode %v, one file",
					name, got, info.Mode(), names, want.content, want.mode)
			}
		}
	}
}

func TestFailedReplaceLeavesTheOldFileAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := Replace(path, 0o600, Bytes([]byte("old"))); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := Replace(path, 0o600, func(f *os.File) error {
		_, err := f.WriteString("half of the ne")
		return errors.Join(err, full)
	})
	if got, names := content(t, path); !errors.Is(err, full) || got != "old" || len(names) != 1 {
		t.Errorf("Replace = %v and left %q, files %q, want the cause and the old file alone", err, got, names)
	}
}

// Until the new file is whole, a reader sees the old one.
func TestReaderSeesTheOldFileWhileTheNewOneIsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := Replace(path, 0o600, Bytes([]byte("old"))); err != nil {
		t.Fatal(err)
	}
	var seen string
	err := Replace(path, 0o600, func(f *os.File) error {
		_, err := f.WriteString("new")
		seen, _ = content(t, path)
		return err
	})
	if got, _ := content(t, path); err != nil || seen != "old" || got != "new" {
		t.Errorf("Replace = %v; seen %q meanwhile and %q afterwards, want old and new", err, seen, got)
	}
}

// A folder stands where the file should go: the rename fails.
func TestReplaceOfAFolderFailsAndLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(filepath.Join(path, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := ReplaceDurably(path, 0o600, Bytes(nil))
	entries, _ := os.ReadDir(filepath.Dir(path))
	if err == nil || len(entries) != 1 {
		t.Errorf("ReplaceDurably = %v, %d files left, want an error and the folder alone", err, len(entries))
	}
}

func TestReplaceNeedsTheFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "state")
	if err := Replace(path, 0o600, Bytes(nil)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace = %v, want %v", err, fs.ErrNotExist)
	}
}

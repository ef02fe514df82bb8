//go:build unix

package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// Each link is left as it is, and the file that it leads to has the new content.
func TestWriteFollowsLinksToPlainFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		link string // what the link at "a/out" holds
		file string // where that leads
	}{
		{"beside it", "there", "a/there"},
		{"in another folder", "../b/there", "b/there"},
		{"behind a linked folder's parent", "linked/../there", "b/there"},
		{"through a second link", "second", "b/there"},
		{"nowhere: it is the file", "", "a/out"},
	} {
		for _, exists := range []bool{true, false} {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
			err := errors.Join(os.MkdirAll(at("a"), 0o700), os.MkdirAll(at("b/below"), 0o700),
				os.Symlink("../b/below", at("a/linked")), os.Symlink(at("b/there"), at("a/second")))
			if c.link != "" {
				err = errors.Join(err, os.Symlink(c.link, at("a/out")))
			}
			if exists {
				err = errors.Join(err, os.WriteFile(at(c.file), []byte("old"), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			err = errors.Join(CheckWrite(at("a/out")), Write(at("a/out"), 0o640, Bytes([]byte("new"))))
			if err != nil {
				t.Errorf("%s, there before %t: %v", c.name, exists, err)
			}
			got, err := os.ReadFile(at(c.file))
			to, _ := os.Readlink(at("a/out")) // "" of what is no link
			if err != nil || string(got) != "new" || to != c.link {
				t.Errorf("%s, there before %t: the file has %q (%v), the link %q, want it followed and kept",
					c.name, exists, got, err, to)
			}
		}
	}
}

func TestWriteGoesIntoAPipeThatSomebodyReads(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	link := pipe + "-link"
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink(pipe, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link} {
		reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(path, 0o600, Bytes([]byte("said"))); err != nil {
			t.Error(err)
		}
		got, err := io.ReadAll(reader)
		if err != nil || string(got) != "said" {
			t.Errorf("the reader got %q, %v", got, err)
		}
		reader.Close()
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("a %v stands in the place of the pipe, %v", info.Mode(), err)
	}
}

func TestWhatIsNoPlainFileIsNeverReplaced(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	listener, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := errors.Join(syscall.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("folder"), 0o700),
		os.Symlink(at("loop"), at("loop")), os.Symlink(at("socket"), at("link"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe", "folder", "socket", "link", "loop"} {
		before, err := os.Lstat(at(name))
		if err != nil {
			t.Fatal(err)
		}
		for verb, put := range map[string]func(string, fs.FileMode, func(*os.File) error) error{
			"Replace": Replace, "ReplaceDurably": ReplaceDurably, "Write": Write,
		} {
			if verb != "Write" && before.Mode().Type() == fs.ModeSymlink {
				continue // Replace takes the link's place
			}
			err := put(at(name), 0o600, Bytes([]byte("x")))
			if err == nil || name != "loop" && !errors.Is(err, openfile.ErrKind) ||
				strings.Count(err.Error(), at(name)) != 1 {
				t.Errorf("%s of a %s = %v, want a refusal that names it once", verb, name, err)
			}
			if after, err := os.Lstat(at(name)); err != nil || !os.SameFile(before, after) {
				t.Errorf("%s of a %s replaced it", verb, name)
			}
		}
		if err := CheckWrite(at(name)); name != "pipe" && err == nil { // a reader may come
			t.Errorf("CheckWrite takes a %s", name)
		}
	}
	if err := CheckWrite(at("none/file")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CheckWrite in no folder = %v, want %v", err, fs.ErrNotExist)
	}
}

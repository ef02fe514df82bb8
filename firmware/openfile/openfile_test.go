//go:build unix

package openfile

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// strange makes one of each kind of thing that a name can lead to and that never is a plain file.
func strange(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	loop := at("loop")
	listener, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	if err := errors.Join(syscall.Mkfifo(at("pipe"), 0o600), os.Symlink(loop, loop),
		os.Symlink(at("pipe"), at("link to a pipe"))); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"folder": dir, "pipe": at("pipe"), "link to a pipe": at("link to a pipe"), "link to itself": loop,
		"socket": at("socket"), "endless device": "/dev/zero", "terminal": "/dev/ptmx",
	}
}

// soon fails a test whose call waits.
func soon(t *testing.T, what string, call func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); call() }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s waits", what)
	}
}

func TestWhatIsNoPlainFileIsRefusedAtOnce(t *testing.T) {
	for name, path := range strange(t) {
		for verb, open := range map[string]func() error{
			"File":       func() error { _, err := File(path); return err },
			"Read":       func() error { _, err := Read(path, 100); return err },
			"ReadSecret": func() error { _, err := ReadSecret(path, 100); return err },
			"Disk":       func() error { _, _, err := Disk(path, os.O_RDWR); return err },
			"Append":     func() error { _, err := Append(path, 0o600); return err },
		} {
			soon(t, verb+" of a "+name, func() {
				err := open()
				var say *fs.PathError
				if !errors.As(err, &say) || say.Path != path || strings.Count(err.Error(), path) != 1 {
					t.Errorf("%s of a %s: %v, want an error that names the file once", verb, name, err)
				}
				if name != "link to itself" && !errors.Is(err, ErrKind) {
					t.Errorf("%s of a %s: %v, want ErrKind", verb, name, err)
				}
			})
		}
	}
}

func TestCreateTakesAPipeThatSomebodyReadsAndNoOther(t *testing.T) {
	all := strange(t)
	soon(t, "Create of a pipe", func() {
		if f, err := Create(all["pipe"], 0o600); !errors.Is(err, ErrKind) {
			t.Errorf("Create of a pipe without a reader = %v, %v, want ErrKind", f, err)
		}
	})
	reader, err := os.OpenFile(all["pipe"], os.O_RDONLY|nonblock, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, path := range []string{all["pipe"], "/dev/null", filepath.Join(t.TempDir(), "new")} {
		f, err := Create(path, 0o600)
		if err != nil {
			t.Errorf("Create %s: %v", path, err)
			continue
		}
		if _, err := f.WriteString("x"); err != nil {
			t.Error(err)
		}
		f.Close()
	}
	for _, name := range []string{"folder", "socket", "link to itself"} {
		if _, err := Create(all[name], 0o600); err == nil {
			t.Errorf("Create takes a %s", name)
		}
	}
}

func TestReadHasALimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, c := range []struct {
		name string
		size int64
		want error
	}{
		{"an empty file", 0, nil},
		{"a file at the limit", 1000, nil},
		{"one byte more", 1001, ErrTooLong},
		{"100 MB without a block on the disk", 100 << 20, ErrTooLong},
		{"1 TB without a block on the disk", 1 << 40, ErrTooLong},
	} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, c.size)); err != nil {
			t.Fatal(err)
		}
		b, err := Read(path, 1000)
		if !errors.Is(err, c.want) || err == nil && int64(len(b)) != c.size {
			t.Errorf("%s: %d bytes, %v, want %v", c.name, len(b), err, c.want)
		}
	}
	if b, err := Read("/proc/self/status", 64<<10); err != nil || !bytes.Contains(b, []byte("Name:")) {
		t.Errorf("a file that says it is empty: %q, %v", b, err)
	}
	if _, err := Read("/proc/self/status", 10); !errors.Is(err, ErrTooLong) {
		t.Errorf("a file that says it is empty, above the limit: %v", err)
	}
	if _, err := Read(path+"-missing", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want fs.ErrNotExist", err)
	}
}

func TestASecretThatOthersCanReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, taken := range map[fs.FileMode]bool{
		0o400: true, 0o600: true, 0o640: true, 0o440: true, 0o644: false, 0o604: false, 0o602: false, 0o666: false,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadSecret(path, 100)
		if taken != (err == nil) || !taken && (!errors.Is(err, ErrReadable) ||
			!strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Errorf("mode %#o: %v, want taken %t, else the command that mends it", mode, err, taken)
		}
		if b, exposed, err := ReadOwnSecret(path, 100); string(b) != "secret" || exposed == taken || err != nil {
			t.Errorf("mode %#o of an own file: %q, exposed %t, %v, want it read, and said", mode, b, exposed, err)
		}
	}
}

// A bench is read from a serial line; a pseudo terminal stands for one.
func TestConsoleTakesATerminal(t *testing.T) {
	f, err := Console("/dev/ptmx")
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "Close of a silent terminal", func() {
		time.AfterFunc(50*time.Millisecond, func() { f.Close() })
		if _, err := f.Read(make([]byte, 1)); err == nil {
			t.Error("a silent terminal gave a byte")
		}
	})
	if _, err := Console(strange(t)["pipe"]); !errors.Is(err, ErrKind) {
		t.Errorf("Console of a pipe: %v, want ErrKind", err)
	}
}

func TestDiskGivesTheSizeAndBeginsAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, size, err := Disk(path, os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if at, err := f.Seek(0, 1); at != 0 || size != 5 || err != nil {
		t.Errorf("size %d, position %d, %v, want 5 and 0", size, at, err)
	}
}

// Package openfile opens files whose names come from somebody else: a command line, a
// configuration, a folder that others can write to.
//
// Such a name may lead to anything. Opening a named pipe waits for its other end, and no signal
// ends that; /dev/zero never ends; a watchdog's device restarts the machine. So each function
// looks at what the name leads to before it opens it, opens without waiting, looks again at what
// it has opened, and says in words what it refuses. What is read at once has a limit in bytes.
//
// A caller owns and closes what it gets. The package owns nothing and imports nothing of ours:
// programs on a board, the far end and camctl use it. opens_test.go at the top of the tree keeps
// it that way, with the list of those that open by themselves, and why. To replace a file there
// is atomicfile.
//
// Sources: open(2), fifo(7).
package openfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

// Refusals, for errors.Is. All come as an *fs.PathError, which names the file.
var (
	ErrKind     = errors.New("wrong kind of file")
	ErrTooLong  = errors.New("too long")
	ErrReadable = errors.New("other users can read it")
)

// A kind is a set of what a name may lead to.
type kind uint

const (
	plain kind = 1 << iota
	block
	character
	pipe
)

// File opens a plain file for reading.
func File(path string) (*os.File, error) { return open(path, os.O_RDONLY, 0, plain) }

// Disk opens an image or a card, which is a plain file or a block device, and gives its size in
// bytes. flag is os.O_RDONLY or os.O_RDWR, and may have more of what open(2) knows.
func Disk(path string, flag int) (f *os.File, size int64, err error) {
	if f, err = open(path, flag, 0, plain|block); err != nil {
		return nil, 0, err
	}
	size, err = f.Seek(0, io.SeekEnd) // a block device's Stat knows no size
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// Console opens a serial line, without waiting for a modem's carrier, or a plain file with what
// one said. A Read of it waits; it ends when the file is closed.
func Console(path string) (*os.File, error) { return open(path, os.O_RDONLY, 0, plain|character) }

// Create empties a plain file or makes one. A terminal, /dev/null, and a pipe that somebody reads
// will do, too. A Write to a pipe waits if its reader stops; SetWriteDeadline limits that.
func Create(path string, mode fs.FileMode) (*os.File, error) {
	f, err := open(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode, plain|character|pipe)
	if errors.Is(err, syscall.ENXIO) {
		err = refuse(path, fmt.Errorf("%w: a pipe that nobody reads", ErrKind))
	}
	return f, err
}

// CheckCreate says whether Create would take what path leads to, without opening it: before hours of
// work whose result goes there.
func CheckCreate(path string) error { return check(path, plain|character|pipe) }

// CheckPlain says whether path leads to a plain file, or to nothing yet.
func CheckPlain(path string) error { return check(path, plain) }

func check(path string, allowed kind) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return asOpen(err)
	}
	return checkKind(path, info.Mode(), allowed)
}

// Append opens a plain file to write behind its end, or makes one.
func Append(path string, mode fs.FileMode) (*os.File, error) {
	return open(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, mode, plain)
}

// Read reads a plain file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := File(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, path, limit)
}

// ReadSecret is Read for a file that other users must not be able to read. Its group may: that is
// how a service without rights of its own gets a key.
func ReadSecret(path string, limit int64) ([]byte, error) {
	f, err := File(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := checkSecret(f, path); err != nil {
		return nil, err
	}
	return readAll(f, path, limit)
}

// ReadOwnSecret is ReadSecret for a file that the caller has made where modes may not hold, as on a
// FAT card. exposed says that other users can read it: a reason to warn, not to refuse.
func ReadOwnSecret(path string, limit int64) (b []byte, exposed bool, err error) {
	b, err = ReadSecret(path, limit)
	if errors.Is(err, ErrReadable) {
		b, err = Read(path, limit)
		return b, err == nil, err
	}
	return b, false, err
}

// CheckSecret says whether other users can read a file, as ReadSecret does (ErrReadable).
func CheckSecret(path string) error {
	f, err := File(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return checkSecret(f, path)
}

// checkSecret looks at the mode. Windows keeps access lists instead; Go makes the bits up there.
func checkSecret(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 && runtime.GOOS != "windows" {
		return refuse(path, fmt.Errorf("%w (mode %#o): chmod 600 %s", ErrReadable, mode, path))
	}
	return nil
}

// readAll reads what the limit allows; a file may grow meanwhile, and those of /proc say 0 bytes.
func readAll(f *os.File, path string, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, tooLong(path, limit)
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(b.Len()) > limit {
		return nil, tooLong(path, limit)
	}
	return b.Bytes(), nil
}

func tooLong(path string, limit int64) error {
	return refuse(path, fmt.Errorf("%w: more than %d bytes", ErrTooLong, limit))
}

func refuse(path string, err error) error { return &fs.PathError{Op: "open", Path: path, Err: err} }

// open looks, opens and looks again: between the two the name may have come to mean another file.
func open(path string, flag int, mode fs.FileMode, allowed kind) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil:
		err = checkKind(path, info.Mode(), allowed)
	case flag&os.O_CREATE != 0 && errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return nil, asOpen(err)
	}
	f, err := os.OpenFile(path, flag|nonblock, mode)
	if err != nil {
		return nil, err
	}
	info, err = f.Stat()
	if err == nil {
		err = checkKind(path, info.Mode(), allowed)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// asOpen has the error of a look say what was wanted, as the opening itself would have.
func asOpen(err error) error {
	var look *fs.PathError
	if errors.As(err, &look) {
		return &fs.PathError{Op: "open", Path: look.Path, Err: look.Err}
	}
	return err
}

func checkKind(path string, mode fs.FileMode, allowed kind) error {
	found, name := kindOf(mode)
	if found&allowed != 0 {
		return nil
	}
	want := "a plain file"
	if allowed&block != 0 {
		want = "an image or a card"
	}
	return refuse(path, fmt.Errorf("%w: %s, not %s", ErrKind, name, want))
}

// kindOf also says the kind in words; 0 is one that nobody may use.
func kindOf(mode fs.FileMode) (kind, string) {
	switch mode.Type() {
	case 0:
		return plain, "a plain file"
	case fs.ModeDevice:
		return block, "a block device"
	case fs.ModeDevice | fs.ModeCharDevice:
		return character, "a character device"
	case fs.ModeDir:
		return 0, "a folder"
	case fs.ModeNamedPipe:
		return pipe, "a named pipe"
	case fs.ModeSocket:
		return 0, "a socket"
	}
	return 0, "a file of mode " + mode.String()
}

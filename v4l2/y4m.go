// Y4M: a recording in place of a camera. The file is mapped to find its pictures, which are then
// read one by one.

package v4l2

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A Y4M plays a YUV4MPEG2 file of 8-bit 4:2:0 pictures as YU12 buffers, once.
//
// Every picture is read into one buffer, as a camera fills a few again and again. Encoding from
// the mapping saves the copy but touches each page for the first time, which in a virtual
// machine cost more than the copy: a bare C loop took 0.3 to 0.5 ms less for a picture of
// 640x480 when it read (encoder/testdata/bare.c).
type Y4M struct {
	path     string
	header   y4mHeader
	file     []byte // the mapping, read-only
	reader   *os.File
	starts   []int // of each picture in file
	picture  []byte
	remarks  []string
	counters counters
	*pacer
}

// maxY4MPictures bounds the index: 38 hours at 30 pictures a second.
const maxY4MPictures = 1 << 22

// OpenY4M maps a file and finds its pictures. fps is the rate of a file that does not say its own,
// 0 for DefaultFPS. If paced, they come at the file's own rate, and a caller that is late gets the
// newest, as from a camera. If not, each comes as soon as it is asked for, and a last picture that
// is cut is an error. A file that another program shortens while it is open ends this program with
// SIGBUS, as with any mapping.
func OpenY4M(path string, fps int, paced bool) (*Y4M, error) {
	f, err := openfile.File(path)
	if err != nil {
		return nil, fmt.Errorf("y4m: %w", err)
	}
	y := &Y4M{path: path, reader: f}
	if y.file, err = mapFile(f); err == nil {
		y.header, y.starts, y.remarks, err = indexY4M(y.file, paced)
	}
	if err != nil {
		_ = y.release() // the first error is the one to report
		return nil, fmt.Errorf("y4m %s: %w", path, err)
	}
	if y.header.interval == 0 {
		fps = cmp.Or(fps, DefaultFPS)
		y.header.interval = time.Second / time.Duration(fps)
		y.remarks = append(y.remarks, fmt.Sprintf("it does not say its frame rate: %d/s is taken", fps))
	}
	y.picture = make([]byte, y.header.layout.Size)
	y.pacer = newPacer(y.header.interval, uint32(len(y.starts)), paced)
	return y, nil
}

// mapFile maps a whole file for reading. On a 32-bit system it must fit the address
// space: about 2 GB.
func mapFile(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if !info.Mode().IsRegular() || size == 0 || int64(int(size)) != size {
		return nil, fmt.Errorf("%v of %d bytes: want a regular file that fits into memory", info.Mode(), size)
	}
	file, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	return file, nil
}

// indexY4M reads the header and the position of each picture, and says what is unusual about the
// file. A last picture that is cut is an error, since a measurement on half a file would be wrong;
// with mayBeCut it is left out. Files that were joined have a header in the middle; it must describe
// the same pictures.
func indexY4M(file []byte, mayBeCut bool) (h y4mHeader, starts []int, remarks []string, err error) {
	h, at, err := parseY4MHeader(file)
	if err != nil {
		return h, nil, nil, err
	}
	if h.interlaced {
		remarks = append(remarks, "it is interlaced: both fields of a frame are shown as one picture")
	}
	joined := 0
	for at < len(file) {
		if bytes.HasPrefix(file[at:], []byte(y4mMagic)) {
			n, err := checkJoinedHeader(h, file[at:])
			if err != nil {
				return h, nil, nil, fmt.Errorf("another file begins behind picture %d, at byte %d: %w",
					len(starts), at, err)
			}
			at, joined = at+n, joined+1
			continue
		}
		at, err = indexY4MPicture(file, at, h.layout.Size)
		if errors.Is(err, errY4MCut) && mayBeCut && len(starts) > 0 {
			remarks = append(remarks, "it is cut: its last picture is left out")
			break
		}
		if err != nil {
			return h, nil, nil, fmt.Errorf("picture %d %w", len(starts), err)
		}
		if len(starts) == maxY4MPictures {
			return h, nil, nil, fmt.Errorf("more than %d pictures", maxY4MPictures)
		}
		starts = append(starts, at-h.layout.Size)
	}
	if len(starts) == 0 {
		return h, nil, nil, errors.New("no pictures")
	}
	if joined > 0 {
		remarks = append(remarks, fmt.Sprintf(
			"%d files were joined in it: they are played as one, at the rate of the first", joined+1))
	}
	return h, starts, remarks, nil
}

// errY4MCut says that a file ends within a picture.
var errY4MCut = errors.New("the file is cut")

// indexY4MPicture returns where the picture of size bytes ends whose line begins at a place.
func indexY4MPicture(file []byte, at, size int) (end int, err error) {
	n, err := parseY4MFrame(file[at:])
	if err != nil && strings.HasPrefix("FRAME", string(file[at:min(len(file), at+5)])) && len(file)-at < maxY4MLine {
		err = fmt.Errorf("%w: %w", errY4MCut, err) // within the line before the picture
	}
	if err != nil {
		return 0, fmt.Errorf("at byte %d: %w", at, err)
	}
	at += n
	if len(file)-at < size {
		return 0, fmt.Errorf("at byte %d: %w: %d bytes are left of %d", at, errY4MCut, len(file)-at, size)
	}
	return at + size, nil
}

// checkJoinedHeader returns the length of a header in the middle of a file.
func checkJoinedHeader(first y4mHeader, b []byte) (n int, err error) {
	h, n, err := parseY4MHeader(b)
	if err != nil {
		return 0, err
	}
	if h.layout != first.layout {
		return 0, fmt.Errorf("its pictures are %dx%d, those before %dx%d: scale one of them with ffmpeg -s %dx%d",
			h.layout.Width, h.layout.Height, first.layout.Width, first.layout.Height,
			first.layout.Width, first.layout.Height)
	}
	return n, nil
}

// Next hands the next picture to use. The next call overwrites the bytes. Errors to branch on:
// io.EOF after the last picture, ErrSilent, ErrClosed.
func (y *Y4M) Next(timeout time.Duration, use func(Buffer) error) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	i, at, skipped, err := y.awaitPicture(timeout)
	if err != nil {
		return fmt.Errorf("y4m %s: %w", y.path, err)
	}
	if _, err := y.reader.ReadAt(y.picture, int64(y.starts[i])); err != nil {
		return fmt.Errorf("y4m %s: picture %d: %w", y.path, i, err)
	}
	y.counters[older].Add(uint64(skipped))
	y.counters.countBuffer(delivered)
	return use(Buffer{Bytes: y.picture, Layout: y.header.layout, At: at, Sequence: i})
}

// Len is the number of pictures.
func (y *Y4M) Len() int { return len(y.starts) }

// Picture is the bytes of picture i, 0 to Len()-1: the mapping itself, valid until Close.
func (y *Y4M) Picture(i int) []byte {
	start, end := y.starts[i], y.starts[i]+y.header.layout.Size
	return y.file[start:end:end]
}

// Layout is that of every picture.
func (y *Y4M) Layout() pixfmt.Layout { return y.header.layout }

// Interval is the file's own time between pictures.
func (y *Y4M) Interval() time.Duration { return y.header.interval }

// Remarks has one sentence for each thing that is unusual about the file.
func (y *Y4M) Remarks() []string { return y.remarks }

// Counters counts what was delivered and what a late caller missed.
func (y *Y4M) Counters() Counters { return y.counters.snapshot() }

// String returns, for example, "file face.y4m YU12 640x480 30 fps".
func (y *Y4M) String() string {
	return fmt.Sprintf("file %s %v %s", filepath.Base(y.path), y.header.layout, formatRate(y.header.interval))
}

// Close interrupts a waiting Next, waits until a running use has returned and unmaps the file.
func (y *Y4M) Close() error {
	if err := y.shutDown(y.release); err != nil {
		return fmt.Errorf("y4m %s: close: %w", y.path, err)
	}
	return nil
}

func (y *Y4M) release() error {
	err := y.reader.Close()
	if y.file != nil {
		err = errors.Join(err, unix.Munmap(y.file))
	}
	return err
}

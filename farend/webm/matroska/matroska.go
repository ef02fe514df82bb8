// Package matroska writes WebM files of one VP8 track that are whole at any moment, and reads back
// what their heads say.
//
// A Writer owns its file. All that a player needs stands in front of the frames and has its room from
// the start: duration, and a table of key frames for seeking. Each is written anew in its place, a
// frame after the other, so a file is right to a frame after kill -9 or a full disk, without a repair.
// For that, no write that replaces something crosses a page (4096 bytes): a kill may end a longer
// write between two pages. What is appended may end anywhere; players leave out half a frame.
//
//	EBML header, Segment, SeekHead, Info, Tracks, Void                  to byte 1012
//	Cues of a fixed size: slots of 32 bytes, the free ones as one Void  to byte 17408
//	Clusters: each begins with a key frame, or 5 s after the one before
//
// The sizes of the Segment and of the last cluster are "unknown" until they are known (RFC 8794 section
// 6.2); a player reads on to the end of the file. After a power cut the kernel's own order counts:
// up to 30 s may be missing at the end.
//
// at-wat/ebml-go was looked at: it writes in one pass, with Cues and Duration at the end or not at all.
//
// Times are milliseconds since the first frame.
//
// Sources: RFC 8794 (EBML), RFC 9559 (Matroska), webmproject.org/docs/container.
package matroska

import (
	"fmt"
	"io"
	"time"
)

// Limits of a cluster. A block's time is 16 bit, signed, in milliseconds.
const (
	clusterLength = 5000 // ms
	clusterAlign  = 16   // bytes: the cluster's size then lies within one page
)

// BlockRoom is how many bytes a Writer needs before a frame:
//
//	ID 1 + size 4 + track 1 + time 2 + flags 1
const BlockRoom = 9

// A File is an *os.File.
type File interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

// A Header is what a file says of itself.
type Header struct {
	Title         string
	App           string // that writes
	Start         time.Time
	Width, Height int
}

// A Writer writes one file; use it from one goroutine. After an error the file is whole up to the
// last frame: Close it.
type Writer struct {
	file File
	end  int64 // of whole frames

	clusterAt   int64 // position; 0: none yet
	clusterTime int64
	cues        cues

	last     int64 // time of the last frame
	interval int64 // of frames
	frames   int64
	buffer   [64]byte
}

// Create writes the head of an empty file, which becomes the Writer's unless it fails.
func Create(f File, h Header) (*Writer, error) {
	b := appendHead(nil, h)
	if _, err := f.WriteAt(b, 0); err != nil {
		return nil, fmt.Errorf("matroska: head: %w", err)
	}
	return &Writer{file: f, end: int64(len(b)), interval: 33}, nil
}

// Size is that of the file, in bytes.
func (w *Writer) Size() int64 { return w.end }

// Duration counts the last frame's, too.
func (w *Writer) Duration() time.Duration {
	if w.frames == 0 {
		return 0
	}
	return time.Duration(w.last+w.interval) * time.Millisecond
}

// intervalMax is the longest time between two frames that is taken for their rate.
const intervalMax = 1000 // ms

// WriteFrame appends a frame that stands in block behind BlockRoom bytes, which it overwrites. Times go
// up. The first frame is a key frame. WriteDuration is to follow, at the latest before a wait.
func (w *Writer) WriteFrame(block []byte, at int64, key bool) error {
	if w.clusterAt == 0 || key || at-w.clusterTime >= clusterLength {
		if err := w.beginCluster(block, at, key); err != nil {
			return w.undo(err)
		}
	} else {
		fillBlock(block, at-w.clusterTime, key)
		if _, err := w.file.WriteAt(block, w.end); err != nil {
			return w.undo(err)
		}
		w.end += int64(len(block))
	}
	if step := at - w.last; w.frames > 0 && step <= intervalMax {
		w.interval = step
	}
	w.last = at
	w.frames++
	return nil
}

// undo cuts off what was written of a frame.
func (w *Writer) undo(err error) error {
	_ = w.file.Truncate(w.end)
	return fmt.Errorf("matroska: frame %d: %w", w.frames, err)
}

// beginCluster begins one with its first frame, and only then gives the one before its size.
func (w *Writer) beginCluster(block []byte, at int64, key bool) error {
	b := appendFill(w.buffer[:0], fillTo(w.end, clusterAlign))
	position := w.end + int64(len(b))
	b = appendID(b, idCluster)
	b = appendSize(b, sizeUnknown)
	b = appendUint(b, idTimestamp, uint64(at))
	if _, err := w.file.WriteAt(b, w.end); err != nil {
		return err
	}
	fillBlock(block, 0, key)
	if _, err := w.file.WriteAt(block, w.end+int64(len(b))); err != nil {
		return err
	}
	if err := w.endCluster(position); err != nil {
		return err
	}
	w.end += int64(len(b)) + int64(len(block))
	w.clusterAt, w.clusterTime = position, at
	if !key {
		return nil
	}
	return w.cues.add(w.file, cue{at, position - segmentData})
}

// clusterHead is what a cluster's size does not count: ID 4 + size 8.
const clusterHead = 12

func (w *Writer) endCluster(end int64) error {
	if w.clusterAt == 0 {
		return nil
	}
	return w.writeAt(appendSize(w.buffer[:0], uint64(end-w.clusterAt-clusterHead)), w.clusterAt+4)
}

// WriteDuration has the head count the frames that were written.
func (w *Writer) WriteDuration() error {
	return w.writeAt(appendFloat(w.buffer[:0], float64(w.Duration().Milliseconds())), durationAt)
}

func (w *Writer) writeAt(b []byte, at int64) error {
	if _, err := w.file.WriteAt(b, at); err != nil {
		return fmt.Errorf("matroska: %w", err)
	}
	return nil
}

// Close writes the sizes that were unknown, and closes the file. It does not wait for the disk.
func (w *Writer) Close() error {
	errs := []error{
		w.WriteDuration(), w.endCluster(w.end),
		w.writeAt(appendSize(w.buffer[:0], uint64(w.end-segmentData)), segmentData-8),
		w.file.Close(),
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("matroska: close: %w", err)
		}
	}
	return nil
}

// fillBlock writes a SimpleBlock's head before a frame (RFC 9559 section 10.2).
func fillBlock(block []byte, at int64, key bool) {
	size := len(block) - 5
	flags := byte(0)
	if key {
		flags |= 0x80
	}
	if len(block) > BlockRoom && block[BlockRoom]&0x10 == 0 { // show_frame, RFC 6386 section 9.1
		flags |= 0x08
	}
	copy(block, []byte{
		idSimpleBlock, 0x10 | byte(size>>24), byte(size >> 16), byte(size >> 8), byte(size),
		0x80 | trackNumber, byte(at >> 8), byte(at), flags,
	})
}

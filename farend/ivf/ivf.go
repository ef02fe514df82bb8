// Package ivf writes IVF, the simplest file of VP8 frames, which every VP8 tool reads: a header
// of 32 bytes, then each frame behind its size and time.
//
// A Writer owns its file. A frame is one write and its number in the header another, so a crash
// loses at most the last frame. Time is in units of a Timebase. Close may write all times anew, in
// their places: a crash meanwhile leaves every frame, but a file whose first frames are too fast.
//
// The header has one field of length, in bytes 24 to 27. It is the number of frames, and some
// programs (ffmpeg 5) take it for the duration in units of the timebase. Both are right where
// the unit is the time from one frame to the next. A camera's frames are nearly that regular, so
// Close looks for such a unit and keeps the finer one where there is none.
//
// Sources: libvpx, ivfenc.c and ivfdec.c; ffmpeg, libavformat/ivfdec.c.
package ivf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	headerSize        = 32
	timebasePosition  = 16
	countPosition     = 24
	frameTimePosition = 4
)

// A Timebase is the unit of time: Num/Den seconds.
type Timebase struct{ Num, Den uint32 }

// A Writer writes one file; use it from one goroutine.
type Writer struct {
	file   file
	unit   Timebase
	frames uint32
	end    int64   // bytes of whole frames
	stamps []stamp // nil once there are too many
	buffer []byte
}

// A file is an *os.File.
type file interface {
	io.WriteCloser
	io.WriterAt
	Name() string
	Sync() error
	Truncate(size int64) error
}

// A stamp is a frame's place in the file and its time.
type stamp struct {
	position int64
	time     uint64
}

// Create makes a file that its owner alone can read: it shows what the camera sees. It never
// replaces one.
func Create(path string, width, height int, unit Timebase) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ivf: %w", err)
	}
	b := append(make([]byte, 0, headerSize), "DKIF\x00\x00\x20\x00VP80"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(width))
	b = binary.LittleEndian.AppendUint16(b, uint16(height))
	b = unit.append(b)
	b = append(b, make([]byte, headerSize-len(b))...)
	if _, err := f.Write(b); err != nil {
		return nil, fmt.Errorf("ivf: %w", errors.Join(err, f.Close()))
	}
	return &Writer{file: f, unit: unit, end: headerSize, stamps: []stamp{}}, nil
}

func (t Timebase) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, t.Den), t.Num)
}

// Name is the file's path.
func (w *Writer) Name() string { return w.file.Name() }

// WriteFrame appends a frame; its bytes are copied. time is in the Timebase's unit and does not
// go back. After an error the file ends with the last whole frame.
func (w *Writer) WriteFrame(frame []byte, time uint64) error {
	b := binary.LittleEndian.AppendUint32(w.buffer[:0], uint32(len(frame)))
	b = binary.LittleEndian.AppendUint64(b, time)
	w.buffer = append(b, frame...)
	if _, err := w.file.Write(w.buffer); err != nil {
		_ = w.file.Truncate(w.end)
		return fmt.Errorf("ivf: frame %d: %w", w.frames, err)
	}
	w.frames++
	w.keepStamp(time)
	w.end += int64(len(w.buffer))
	return w.writeCount()
}

func (w *Writer) writeCount() error {
	count := binary.LittleEndian.AppendUint32(w.buffer[:0], w.frames)
	if _, err := w.file.WriteAt(count, countPosition); err != nil {
		return fmt.Errorf("ivf: number of frames: %w", err)
	}
	return nil
}

// Close gives the file regular times if its frames are regular, and closes it. That takes up to a
// write for each of stampsMax frames and a flush of the disk: no lock should be held meanwhile.
func (w *Writer) Close() error {
	err := w.writeCount()
	if unit, ok := regularUnit(w.stamps, w.unit); ok && err == nil {
		err = w.countTimes(unit)
	}
	if err := errors.Join(err, w.file.Close()); err != nil {
		return fmt.Errorf("ivf: close: %w", err)
	}
	return nil
}

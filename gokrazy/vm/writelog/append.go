// Writing a log: one log of several runs of QEMU, and of what was written between two of them.

package writelog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// A Writer makes a log. It is not safe for use by several goroutines.
type Writer struct {
	w     io.WriterAt
	at    int64 // where the next entry goes
	count uint64
}

// NewWriter begins an empty log.
func NewWriter(w io.WriterAt) (*Writer, error) {
	out := &Writer{w: w, at: SectorSize}
	return out, out.writeHeader()
}

func (w *Writer) writeHeader() error {
	b := make([]byte, SectorSize)
	le := binary.LittleEndian
	le.PutUint64(b, magic)
	le.PutUint64(b[8:], version)
	le.PutUint64(b[16:], w.count)
	le.PutUint32(b[24:], SectorSize)
	if _, err := w.w.WriteAt(b, 0); err != nil {
		return fmt.Errorf("log of writes: header: %w", err)
	}
	return nil
}

// Append adds all entries of another log.
func (w *Writer) Append(l *Log) error {
	for _, e := range l.Entries {
		if err := w.add(e, io.NewSectionReader(l.r, e.data, e.dataSize())); err != nil {
			return err
		}
	}
	return w.writeHeader()
}

// AppendWrite adds a write of whole sectors that was flushed at once.
func (w *Writer) AppendWrite(b []byte, at int64) error {
	if err := w.add(Entry{At: at, Size: int64(len(b))}, bytes.NewReader(b)); err != nil {
		return err
	}
	if err := w.add(Entry{Flush: true}, bytes.NewReader(nil)); err != nil {
		return err
	}
	return w.writeHeader()
}

func (w *Writer) add(e Entry, data io.Reader) error {
	b := make([]byte, SectorSize)
	le := binary.LittleEndian
	le.PutUint64(b, uint64(e.At/SectorSize))
	le.PutUint64(b[8:], uint64(e.Size/SectorSize))
	flags := uint64(0)
	if e.Flush {
		flags |= flagFlush
	}
	if e.Discard {
		flags |= flagDrop
	}
	le.PutUint64(b[16:], flags)
	le.PutUint64(b[24:], uint64(e.dataSize()))
	if _, err := w.w.WriteAt(b, w.at); err != nil {
		return fmt.Errorf("log of writes: entry: %w", err)
	}
	n, err := io.Copy(io.NewOffsetWriter(w.w, w.at+SectorSize), data)
	if err == nil && n != e.dataSize() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("log of writes: data: %w", err)
	}
	w.at += SectorSize + n
	w.count++
	return nil
}

// IVF: the simplest file of VP8 frames, which every VP8 tool reads. A 32-byte header, then
// each frame behind its size and time.
// Layout: libvpx, ivfenc.c and ivfdec.c.

package receiver

import (
	"encoding/binary"
	"fmt"
	"os"
)

// ivf owns its file. A frame is one write, so a crash loses at most the last one; only the
// header's count of frames is then wrong, which players ignore.
type ivf struct {
	file   *os.File
	last   uint32 // RTP timestamp of the last frame
	ticks  uint64 // of the last frame since the first, 1/90000 s
	frames uint32
	end    int64 // bytes of whole frames
	buffer []byte
}

const (
	ivfHeaderSize    = 32
	ivfCountPosition = 24
)

// createIVF never replaces a file.
func createIVF(path string, width, height int) (*ivf, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	b := append(make([]byte, 0, ivfHeaderSize), "DKIF\x00\x00\x20\x00VP80"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(width))
	b = binary.LittleEndian.AppendUint16(b, uint16(height))
	b = binary.LittleEndian.AppendUint32(b, clockRate) // units in a second
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = append(b, make([]byte, ivfHeaderSize-len(b))...)
	if _, err := f.Write(b); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("record: %w", err)
	}
	return &ivf{file: f, end: ivfHeaderSize}, nil
}

// writeFrame appends a frame; its bytes are copied. After an error the file ends with the last
// whole frame.
func (v *ivf) writeFrame(frame []byte, timestamp uint32) error {
	if v.frames == 0 {
		v.last = timestamp
	}
	v.ticks += uint64(max(0, int32(timestamp-v.last))) // a sender that starts over must not turn time back
	v.last = timestamp
	b := binary.LittleEndian.AppendUint32(v.buffer[:0], uint32(len(frame)))
	b = binary.LittleEndian.AppendUint64(b, v.ticks)
	v.buffer = append(b, frame...)
	if _, err := v.file.Write(v.buffer); err != nil {
		_ = v.file.Truncate(v.end)
		return fmt.Errorf("record: frame %d: %w", v.frames, err)
	}
	v.end += int64(len(v.buffer))
	v.frames++
	return nil
}

// closeFile writes the count of frames into the header.
func (v *ivf) closeFile() error {
	_, err := v.file.WriteAt(binary.LittleEndian.AppendUint32(nil, v.frames), ivfCountPosition)
	if closeErr := v.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

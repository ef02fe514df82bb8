package receiver

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// readIVF walks the file by its own sizes and gives the header's count of frames
// and the last frame's time.
func readIVF(t *testing.T, path string) (frames int, ticks uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:4]) != "DKIF" || string(b[8:12]) != "VP80" || binary.LittleEndian.Uint16(b[12:]) != 320 ||
		binary.LittleEndian.Uint16(b[14:]) != 240 {
		t.Errorf("header % x", b[:32])
	}
	count := int(binary.LittleEndian.Uint32(b[24:]))
	for b = b[32:]; len(b) > 0; frames++ {
		ticks = binary.LittleEndian.Uint64(b[4:])
		b = b[12+binary.LittleEndian.Uint32(b):]
	}
	if frames != count {
		t.Errorf("%d frames in the file, %d in its header", frames, count)
	}
	return frames, ticks
}

func TestIVFIsWholeAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ivf")
	v, err := createIVF(path, 320, 240)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(3) {
		if err := v.writeFrame([]byte{1, 2, 3}, 4294960000+i*3000); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || len(b) != 32+3*15 { // not closed yet
		t.Errorf("%d bytes, %v, want all three frames in the file", len(b), err)
	}
	if err := v.closeFile(); err != nil {
		t.Error(err)
	}
	if frames, ticks := readIVF(t, path); frames != 3 || ticks != 6000 {
		t.Errorf("%d frames, last at %d, want 3 and 6000", frames, ticks)
	}
	if _, err := createIVF(path, 1, 1); err == nil {
		t.Error("createIVF replaced a file")
	}
}

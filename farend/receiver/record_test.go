package receiver

import (
	"encoding/binary"
	"os"
	"testing"
	"time"
)

// readRecord walks a file by its own sizes and gives the header's number of frames and the last
// frame's time.
func readRecord(t *testing.T, path string) (frames int, last time.Duration) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:4]) != "DKIF" || string(b[8:12]) != "VP80" || binary.LittleEndian.Uint16(b[12:]) != 320 ||
		binary.LittleEndian.Uint16(b[14:]) != 240 {
		t.Errorf("header % x", b[:32])
	}
	den, num := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
	count := int(binary.LittleEndian.Uint32(b[24:]))
	for b = b[32:]; len(b) > 0; frames++ {
		last = time.Duration(binary.LittleEndian.Uint64(b[4:])) * time.Second * time.Duration(num) / time.Duration(den)
		b = b[12+binary.LittleEndian.Uint32(b):]
	}
	if frames != count {
		t.Errorf("%d frames in the file, %d in its header", frames, count)
	}
	return frames, last
}

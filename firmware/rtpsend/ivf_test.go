// The clip of the interop runs: VP8 in IVF, made by ffmpeg from its test source.

package rtpsend

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	clipFrames = 90
	clipFPS    = 30
)

// clip makes 3 s of VP8 with one key frame at the start, and reads the frames back.
func clip(t *testing.T) (path string, frames [][]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "clip.ivf")
	run(t, exec.Command("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi",
		"-i", fmt.Sprintf("testsrc2=size=320x240:rate=%d", clipFPS), "-frames:v", fmt.Sprint(clipFrames),
		"-c:v", "libvpx", "-b:v", "600k", "-deadline", "realtime", "-cpu-used", "8", "-g", "9999",
		"-lag-in-frames", "0", "-auto-alt-ref", "0", "-y", path))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if frames, err = readIVF(b); err != nil || len(frames) != clipFrames {
		t.Fatalf("%s: %d frames, want %d: %v", path, len(frames), clipFrames, err)
	}
	return path, frames
}

// readIVF gives the frames as views of b: a header of 32 bytes, then for each frame
// its size (4 bytes), its timestamp (8 bytes) and its bytes, all little-endian.
func readIVF(b []byte) (frames [][]byte, err error) {
	if len(b) < 32 || string(b[:4]) != "DKIF" || string(b[8:12]) != "VP80" {
		return nil, fmt.Errorf("IVF of %d bytes has no header of VP8", len(b))
	}
	for b = b[32:]; len(b) > 0; {
		if len(b) < 12 {
			return nil, fmt.Errorf("IVF frame %d: header of %d bytes, want 12", len(frames), len(b))
		}
		n := int(binary.LittleEndian.Uint32(b))
		if n > len(b)-12 {
			return nil, fmt.Errorf("IVF frame %d: %d of %d bytes", len(frames), len(b)-12, n)
		}
		frames = append(frames, b[12:12+n])
		b = b[12+n:]
	}
	return frames, nil
}

// camsource against the bare libvpx loop that scripts/bench measures it with: the ratio means
// something only if both make the same frames.

package pipeline

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/v4l2"
)

// A frameRecorder is a Sink that keeps every frame.
type frameRecorder struct{ frames [][]byte }

func (s *frameRecorder) KeyFrameWanted() bool { return false }

func (s *frameRecorder) Advise(time.Duration) (int, bool) { return 0, false }

func (s *frameRecorder) Send(frame []byte, _ bool, _ time.Duration) error {
	s.frames = append(s.frames, bytes.Clone(frame))
	return nil
}

// writeY4M writes n moving pictures of 320x240.
func writeY4M(t *testing.T, n int) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("YUV4MPEG2 W320 H240 F30:1 Ip A1:1 C420jpeg\n")
	picture := make([]byte, 320*240*3/2)
	for i := range n {
		for j := range picture {
			picture[j] = byte(j/7 + j/320*3 + i*5 + int(uint32(j)*2654435761>>13)&7)
		}
		b.WriteString("FRAME\n")
		b.Write(picture)
	}
	path := filepath.Join(t.TempDir(), "clip.y4m")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bareFrames compiles the yardstick with the compiler and the library that cgo uses and runs it.
func bareFrames(t *testing.T, clip string) [][]byte {
	t.Helper()
	dir := t.TempDir()
	env := func(name string) []string {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	const folder = "../../encoder"
	args := append(env("CGO_CFLAGS"), "-I"+folder, "-o", dir+"/bare", folder+"/testdata/bare.c", folder+"/vp8.c")
	args = append(append(args, env("CGO_LDFLAGS")...), "-l:libvpx.a", "-lm", "-lpthread")
	for _, c := range []*exec.Cmd{
		exec.Command(env("CC")[0], args...),
		exec.Command(dir+"/bare", clip, "600", "-12", dir+"/bare.ivf"),
	} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	ivf, err := os.ReadFile(dir + "/bare.ivf")
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for ivf = ivf[32:]; len(ivf) > 12; { // IVF: 32 bytes of file header, 12 of each frame's, size first
		n := binary.LittleEndian.Uint32(ivf)
		frames = append(frames, ivf[12:12+n])
		ivf = ivf[12+n:]
	}
	return frames
}

func TestFileGivesTheFramesOfABareLibvpxLoop(t *testing.T) {
	clip := writeY4M(t, 90)
	want := bareFrames(t, clip)
	y, err := v4l2.OpenY4M(clip, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	p, err := New(Config{Layout: y.Layout(), Stages: &Stages{}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	enc, err := encoder.New(encoder.Config{Width: 320, Height: 240, FPS: 30, Bitrate: 600_000, Speed: -12, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var got frameRecorder
	if err := p.EncodeFile(t.Context(), y, enc, &got); !errors.Is(err, io.EOF) {
		t.Fatalf("EncodeFile = %v, want io.EOF at the end of the file", err)
	}
	if err := sameFrames(got.frames, want); err != nil {
		t.Error(err)
	}
}

func sameFrames(got, want [][]byte) error {
	if len(got) != len(want) || len(got) == 0 {
		return fmt.Errorf("%d frames, the bare loop made %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			return fmt.Errorf("frame %d of %d differs: %d bytes, the bare loop's has %d",
				i, len(got), len(got[i]), len(want[i]))
		}
	}
	return nil
}

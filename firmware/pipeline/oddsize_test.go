package pipeline

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/v4l2"
)

// oddSizes are those of files that people have: cropped ones, phones', 480p of 16:9.
var oddSizes = []image.Point{{853, 480}, {175, 143}, {320, 241}, {17, 33}, {641, 479}, {320, 240}}

// ffmpegClip makes 20 pictures in colours, as ffmpeg writes them.
func ffmpegClip(t *testing.T, size image.Point, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.y4m")
	all := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30", "-frames:v", "20",
		"-vf", fmt.Sprintf("format=rgb24,scale=%d:%d", size.X, size.Y), "-pix_fmt", "yuv420p"}, args...)
	run(t, nil, append(all, "-f", "yuv4mpegpipe", path)...)
	return path
}

func run(t *testing.T, in []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ffmpeg", args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &complaints)
	}
	return out.Bytes()
}

// ivf wraps frames for ffmpeg.
func ivf(size image.Point, frames [][]byte) []byte {
	b := append([]byte("DKIF\x00\x00\x20\x00VP80"), make([]byte, 20)...)
	binary.LittleEndian.PutUint16(b[12:], uint16(size.X))
	binary.LittleEndian.PutUint16(b[14:], uint16(size.Y))
	binary.LittleEndian.PutUint32(b[16:], 30)
	binary.LittleEndian.PutUint32(b[20:], 1)
	for i, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = binary.LittleEndian.AppendUint64(b, uint64(i))
		b = append(b, f...)
	}
	return b
}

func psnr(a, b []byte) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(len(a))/max(sum, 1e-9))
}

func TestFileWithOddSidesArrivesWholeInEachPlane(t *testing.T) {
	need.Tools(t, "ffmpeg")
	for _, size := range oddSizes {
		for _, copied := range []bool{false, true} { // the picture over the buffer itself, and converted
			y, err := v4l2.OpenY4M(ffmpegClip(t, size), 0, false)
			if err != nil {
				t.Error(err)
				continue
			}
			frames := encodeOdd(t, y, size, copied)
			decoded := run(t, ivf(size, frames), "-v", "error", "-i", "-", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
			planes, _ := y.Layout().Planes()
			if len(frames) != y.Len() || len(decoded) != y.Len()*y.Layout().Size {
				t.Fatalf("%v: %d frames, %d bytes decoded, want %d of %d", size, len(frames), len(decoded),
					y.Len(), y.Len()*y.Layout().Size)
			}
			last := y.Len() - 1
			sent, got := y.Picture(last), decoded[last*y.Layout().Size:]
			var db [3]float64
			for i, p := range planes {
				end := p.Offset + p.Stride*p.Rows
				if db[i] = psnr(sent[p.Offset:end], got[p.Offset:end]); db[i] < 30 {
					t.Errorf("%v, converted %v: plane %d has %.1f dB, want 30", size, copied, i, db[i])
				}
			}
			t.Logf("FIGURE y4m of %dx%d through the encoder at 4 Mbit/s, converted %v: Y %.1f, U %.1f, V %.1f dB",
				size.X, size.Y, copied, db[0], db[1], db[2])
			if err := y.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// encodeOdd encodes all pictures of a file.
func encodeOdd(t *testing.T, y *v4l2.Y4M, size image.Point, copied bool) [][]byte {
	t.Helper()
	p, err := New(Config{Layout: y.Layout(), Stages: &Stages{}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	enc, err := encoder.New(encoder.Config{Width: size.X, Height: size.Y, FPS: 30, Bitrate: 4_000_000, Speed: -6})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var sink frameRecorder
	if !copied {
		if err := p.EncodeFile(t.Context(), y, enc, &sink); !errors.Is(err, io.EOF) {
			t.Fatalf("EncodeFile = %v, want io.EOF", err)
		}
		return sink.frames
	}
	p.active.Store(true)
	for {
		if err := y.Next(0, p.takeBuffer); err != nil {
			return sink.frames
		}
		pic := <-p.ready
		if err := p.sendFrame(enc, &pic.pixels.YCbCr, pic.at, &sink); err != nil {
			t.Fatal(err)
		}
		p.free <- pic
	}
}

func TestFilesAsFfmpegWritesThem(t *testing.T) {
	need.Tools(t, "ffmpeg")
	for name, args := range map[string][]string{
		"C420jpeg": {"-chroma_sample_location", "center"}, "C420mpeg2": {"-chroma_sample_location", "left"},
		"C420paldv": {"-chroma_sample_location", "topleft"}, "It": {"-field_order", "tt"},
	} {
		path := ffmpegClip(t, image.Pt(175, 143), args...)
		head, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		y, err := v4l2.OpenY4M(path, 0, false)
		if err != nil || !bytes.Contains(head[:100], []byte(name)) {
			t.Errorf("%s: OpenY4M = %v, of %.80q", name, err, head)
			continue
		}
		if y.Len() != 20 {
			t.Errorf("%s: %d pictures, want 20", name, y.Len())
		}
		if err := y.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, format := range []string{"yuv422p", "yuv444p", "yuv411p", "gray", "yuv420p10"} {
		y, err := v4l2.OpenY4M(ffmpegClip(t, image.Pt(176, 144), "-pix_fmt", format, "-strict", "-1"), 0, false)
		if err == nil {
			t.Errorf("%s: OpenY4M = %v, want it refused in words", format, y)
		}
	}
}

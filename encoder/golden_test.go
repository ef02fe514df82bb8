// The same bytes on every architecture, and nothing read behind the planes.

package encoder

import (
	"crypto/sha256"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// TestPatternFramesAreTheGoldenOnes also runs under QEMU for the other architectures, see below.
// testdata/README.md says when the golden sum changes.
func TestPatternFramesAreTheGoldenOnes(t *testing.T) {
	e := openEncoder(t, Config{Width: 320, Height: 240, FPS: 30, Bitrate: 300_000, Speed: -12})
	p := newPicture(320, 240)
	var frames [][]byte
	for i := range 40 {
		drawPattern(p, i)
		f, err := e.Encode(p, captureTime(i), i == 25)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, append([]byte(nil), f.Bytes...))
	}
	want, err := os.ReadFile("testdata/pattern40.ivf.sha256")
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%x", sha256.Sum256(ivfFile(320, 240, frames)))
	if got != strings.TrimSpace(string(want)) {
		t.Errorf("sha256 of the IVF file is\n%s, want\n%s", got, want)
	}
	t.Logf("FIGURE IVF of %d frames on %s: sha256 %.16s…", len(frames), runtime.GOARCH, got)
}

func TestBoardsMakeTheSameFramesAsThePC(t *testing.T) {
	for arch, emulator := range map[string]string{"arm64": "qemu-aarch64", "armv7": "qemu-arm"} {
		t.Run(arch, func(t *testing.T) {
			if static := emulator + "-static"; exec.Command(static, "--version").Run() == nil {
				emulator = static
			}
			need.Tools(t, emulator)
			need.Tools(t, map[string]string{"arm64": "aarch64-linux-gnu-gcc", "armv7": "arm-linux-gnueabihf-gcc"}[arch])
			binary := filepath.Join(t.TempDir(), "encoder.test")
			build := exec.Command("bash", "-c", `codecs=$(../scripts/codecs "$1") && eval "$codecs" &&
				exec go test -c -o "$2" -ldflags "-linkmode external -extldflags -static" .`, "-", arch, binary)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build for %s: %v\n%s", arch, err, out)
			}
			const tests = "^(TestPatternFramesAreTheGoldenOnes|TestOddTimesDoNotStopTheStream)$"
			out, err := exec.Command(emulator, binary, "-test.v", "-test.run="+tests).CombinedOutput()
			if err != nil || strings.Count(string(out), "--- PASS") != 2 {
				t.Errorf("under %s: %v\n%s", emulator, err, out)
			}
			if figure := regexp.MustCompile("FIGURE .*").Find(out); figure != nil {
				t.Logf("%s, the same as here", figure)
			}
		})
	}
}

// The planes end where the address space ends: one byte read beyond is a fault.
func TestEncodeReadsNothingBehindThePlanes(t *testing.T) {
	for _, size := range [][2]int{{640, 480}, {101, 53}, {34, 18}, {1, 1}} {
		w, h := size[0], size[1]
		cw, ch := (w+1)/2, (h+1)/2
		p := &image.YCbCr{
			Y: guardedBytes(t, w*h), Cb: guardedBytes(t, cw*ch), Cr: guardedBytes(t, cw*ch),
			YStride: w, CStride: cw,
			SubsampleRatio: image.YCbCrSubsampleRatio420,
			Rect:           image.Rect(0, 0, w, h),
		}
		e := openEncoder(t, Config{Width: w, Height: h, FPS: 30, Bitrate: 300_000, Speed: -12})
		for i := range 3 {
			drawPattern(p, i)
			if _, err := e.Encode(p, captureTime(i), false); err != nil {
				t.Errorf("%dx%d: %v", w, h, err)
			}
		}
	}
}

// guardedBytes returns n bytes right before a page that nobody may touch.
func guardedBytes(t *testing.T, n int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size := (n + page - 1) &^ (page - 1)
	m, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(m) })
	if err := syscall.Mprotect(m[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return m[size-n : size : size]
}

package v4l2

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestLibraryStillHasItsDescriptorField(t *testing.T) {
	if fd, err := descriptor(new(webcam.Webcam)); fd != 0 || err != nil {
		t.Errorf("descriptor = %d, %v, want 0", fd, err)
	}
}

// The sizes are those of videodev2.h, as a C compiler gives them for x86-64 and
// aarch64, and for arm with 32-bit time. `GOARCH=arm go vet` checks the other half.
const is64 = unsafe.Sizeof(uintptr(0)) / 8

var (
	_ [unsafe.Sizeof(capability{})]byte      = [104]byte{}
	_ [unsafe.Sizeof(pixFormat{})]byte       = [48]byte{}
	_ [unsafe.Sizeof(format{})]byte          = [204 + 4*is64]byte{}
	_ [unsafe.Sizeof(streamParm{})]byte      = [204]byte{}
	_ [unsafe.Sizeof(queryExtControl{})]byte = [232]byte{}
	_ [unsafe.Sizeof(control{})]byte         = [8]byte{}
	_ [unsafe.Sizeof(requestBuffers{})]byte  = [20]byte{}
	_ [unsafe.Sizeof(frameSizes{})]byte      = [44]byte{}
	_ [unsafe.Sizeof(frameIntervals{})]byte  = [52]byte{}
	_ [unsafe.Sizeof(bufferInfo{})]byte      = [68 + 20*is64]byte{}

	_ [unsafe.Offsetof(format{}.union)]byte         = [4 + 4*is64]byte{}
	_ [unsafe.Offsetof(bufferInfo{}.timestamp)]byte = [20 + 4*is64]byte{}
	_ [unsafe.Offsetof(bufferInfo{}.sequence)]byte  = [44 + 12*is64]byte{}
	_ [unsafe.Offsetof(bufferInfo{}.offset)]byte    = [52 + 12*is64]byte{}
	_ [unsafe.Offsetof(bufferInfo{}.length)]byte    = [56 + 16*is64]byte{}
)

func TestCallNumbersAreThoseOfTheKernel(t *testing.T) {
	// As strace and videodev2.h have them; the size of the argument is in bits 16 to 29.
	want := map[string][2]uintptr{ // 32-bit, 64-bit
		"QUERYCAP":            {0x80685600, 0x80685600},
		"G_FMT":               {0xc0cc5604, 0xc0d05604},
		"REQBUFS":             {0xc0145608, 0xc0145608},
		"QUERYBUF":            {0xc0445609, 0xc0585609},
		"QBUF":                {0xc044560f, 0xc058560f},
		"DQBUF":               {0xc0445611, 0xc0585611},
		"STREAMON":            {0x40045612, 0x40045612},
		"STREAMOFF":           {0x40045613, 0x40045613},
		"G_PARM":              {0xc0cc5615, 0xc0cc5615},
		"ENUM_FRAMESIZES":     {0xc02c564a, 0xc02c564a},
		"ENUM_FRAMEINTERVALS": {0xc034564b, 0xc034564b},
	}
	got := map[string]uintptr{
		"QUERYCAP": vidiocQueryCap, "G_FMT": vidiocGFmt, "REQBUFS": vidiocReqBufs, "QUERYBUF": vidiocQueryBuf,
		"QBUF":  vidiocQBuf,
		"DQBUF": vidiocDQBuf, "STREAMON": vidiocStreamOn, "STREAMOFF": vidiocStreamOff, "G_PARM": vidiocGParm,
		"ENUM_FRAMESIZES": vidiocEnumSizes, "ENUM_FRAMEINTERVALS": vidiocEnumIntervals,
	}
	for name, w := range want {
		if got[name] != w[is64] {
			t.Errorf("VIDIOC_%s = %#x, want %#x", name, got[name], w[is64])
		}
	}
}

func TestLayoutOfTrustsTheDriverButNotBlindly(t *testing.T) {
	cases := []struct {
		name string
		pix  pixFormat
		want pixfmt.Layout
	}{
		{"padded rows", pixFormat{pixelFormat: uint32(pixfmt.YUYV), width: 640, height: 480, bytesPerLine: 1344,
			sizeImage: 650000},
			pixfmt.Layout{Format: pixfmt.YUYV, Width: 640, Height: 480, Stride: 1344, Size: 645120}},
		{"no stride told", pixFormat{pixelFormat: uint32(pixfmt.YUYV), width: 640, height: 480},
			pixfmt.Layout{Format: pixfmt.YUYV, Width: 640, Height: 480, Stride: 1280, Size: 614400}},
		{"a JPEG with a stride, as some drivers tell",
			pixFormat{pixelFormat: uint32(pixfmt.MJPG), width: 640, height: 480, bytesPerLine: 640,
				sizeImage: 400000},
			pixfmt.Layout{Format: pixfmt.MJPG, Width: 640, Height: 480, Size: 400000}},
		{"nonsense stays nonsense, for Check to refuse",
			pixFormat{pixelFormat: uint32(pixfmt.YUYV), width: 640, height: 480, bytesPerLine: 5, sizeImage: 7},
			pixfmt.Layout{Format: pixfmt.YUYV, Width: 640, Height: 480, Stride: 5, Size: 7}},
	}
	for _, c := range cases {
		if got := layoutOf(&c.pix); got != c.want {
			t.Errorf("%s: layoutOf = %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestOpenTellsFilesFromCameras(t *testing.T) {
	if _, err := Open(Request{Device: "/dev/null"}); !errors.Is(err, ErrNotCapture) {
		t.Errorf("Open(/dev/null) = %v, want ErrNotCapture", err)
	}
	none := filepath.Join(t.TempDir(), "video0")
	if _, err := Open(Request{Device: none}); !errors.Is(err, ErrNoCamera) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of nothing = %v, want ErrNoCamera and os.ErrNotExist", err)
	}
	if _, err := Open(Request{Device: "no camera has such a name"}); !errors.Is(err, ErrNoCamera) {
		t.Errorf("Open of an unknown name = %v, want ErrNoCamera", err)
	}
}

// pipeNode waits on a pipe as if it were a camera.
func pipeNode(t *testing.T) (*node, *os.File) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	write := os.NewFile(uintptr(p[1]), "pipe") // which closes once, whoever is first
	t.Cleanup(func() { unix.Close(p[0]); write.Close(); unix.Close(event) })
	return &node{fd: p[0], event: event, poll: pollBoth(p[0], event)}, write
}

func TestWaitTellsReadySilentGoneAndClosed(t *testing.T) {
	n, write := pipeNode(t)
	if err := n.Wait(time.Millisecond); err != ErrSilent {
		t.Errorf("Wait on silence = %v, want ErrSilent", err)
	}
	if _, err := write.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := n.Wait(time.Hour); err != nil {
		t.Errorf("Wait with data = %v, want nil", err)
	}
	n.Interrupt()
	for range 2 {
		if err := n.Wait(time.Hour); err != ErrClosed {
			t.Errorf("Wait after Interrupt = %v, want ErrClosed", err)
		}
	}
	gone, write := pipeNode(t)
	write.Close() // POLLHUP
	if err := gone.Wait(time.Hour); !errors.Is(err, ErrGone) {
		t.Errorf("Wait on a hung-up descriptor = %v, want ErrGone", err)
	}
}

func TestInterruptEndsARunningWait(t *testing.T) {
	n, _ := pipeNode(t)
	done := make(chan error)
	go func() { done <- n.Wait(time.Hour) }()
	n.Interrupt()
	if err := <-done; err != ErrClosed {
		t.Errorf("Wait = %v, want ErrClosed", err)
	}
}

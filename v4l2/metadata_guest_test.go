//go:build vm

// The second node of a USB webcam, which delivers the headers of its payloads. Runs inside
// the VM that uvc_test.go boots.

package v4l2

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

const typeMetadata = 13 // V4L2_BUF_TYPE_META_CAPTURE

// metadata streams from a metadata node with one buffer and returns the next that was
// filled while use kept the camera busy.
func metadata(t *testing.T, path string, use func()) []byte {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	must := func(what string, err error) {
		if err != nil {
			t.Fatalf("%s %s: %v", path, what, err)
		}
	}
	must("REQBUFS", ioctl(fd, vidiocReqBufs,
		unsafe.Pointer(&requestBuffers{count: 2, kind: typeMetadata, memory: memoryMmap})))
	b := &bufferInfo{kind: typeMetadata, memory: memoryMmap}
	must("QUERYBUF", ioctl(fd, vidiocQueryBuf, unsafe.Pointer(b)))
	m, err := unix.Mmap(fd, int64(b.offset), int(b.length), unix.PROT_READ, unix.MAP_SHARED)
	must("mmap", err)
	defer unix.Munmap(m)
	must("QBUF", ioctl(fd, vidiocQBuf, unsafe.Pointer(b)))
	kind := int32(typeMetadata)
	must("STREAMON", ioctl(fd, vidiocStreamOn, unsafe.Pointer(&kind)))
	for began := Now(); Now()-began < 30*time.Second; {
		use()
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(poll, 0); n == 1 {
			*b = bufferInfo{kind: typeMetadata, memory: memoryMmap}
			must("DQBUF", ioctl(fd, vidiocDQBuf, unsafe.Pointer(b)))
			return append([]byte(nil), m[:b.bytesUsed]...)
		}
	}
	t.Fatalf("%s: no metadata", path)
	return nil
}

func TestUVCMetadataNodeSpeaksBesideTheCamera(t *testing.T) {
	awaitCamera(t)
	c := mustOpen(t, Request{Width: 320, Height: 240, Format: pixfmt.MJPG})
	got := metadata(t, "/dev/video1", func() {
		if err := c.Next(5*time.Second, ignore); err != nil {
			t.Error(err)
		}
	})
	// struct uvc_meta_buf: ns 8, sof 2, length 1, flags 1, then the header's rest.
	if len(got) < 12+10 || got[10] != 12 || got[11]&0x0c != 0x0c {
		t.Errorf("metadata = %x, want a header of 12 bytes with both times", got)
	}
	t.Logf("%d bytes: %x", len(got), got[:min(len(got), 22)])
}

// The V4L2 calls that blackjack/webcam lacks or does wrong, on its descriptor. Layouts are those
// of videodev2.h for 64-bit and for 32-bit with 32-bit time (unix.Timeval makes the
// difference); node_test.go has their sizes.

package v4l2

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	typeCapture  = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryMmap   = 1 // V4L2_MEMORY_MMAP
	capCapture   = 0x00000001
	capStreaming = 0x04000000

	flagError          = 0x00000040 // V4L2_BUF_FLAG_ERROR
	flagClockMask      = 0x0000e000 // V4L2_BUF_FLAG_TIMESTAMP_MASK
	flagClockMonotonic = 0x00002000 // V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC
)

// capability is struct v4l2_capability.
type capability struct {
	driver       [16]byte
	card         [32]byte
	busInfo      [32]byte
	version      uint32
	capabilities uint32 // of the whole device
	deviceCaps   uint32 // of this node
	reserved     [3]uint32
}

// pixFormat is struct v4l2_pix_format.
type pixFormat struct {
	width, height, pixelFormat, field         uint32
	bytesPerLine, sizeImage, colorspace, priv uint32
	flags, encoding, quantization, transfer   uint32
}

const pointer = unsafe.Sizeof(uintptr(0))

// format is struct v4l2_format. Its union is 200 bytes and aligned like a pointer,
// because another of its members holds one.
type format struct {
	kind  uint32
	union struct {
		pix  pixFormat
		rest [200 - unsafe.Sizeof(pixFormat{}) - pointer]byte
		last uintptr
	}
}

// streamParm is struct v4l2_streamparm with its member for capture.
type streamParm struct {
	kind                   uint32
	capability, mode       uint32
	numerator, denominator uint32 // seconds between two pictures
	extendedMode, buffers  uint32
	reserved               [4]uint32
	rest                   [200 - 40]byte
}

// queryExtControl is struct v4l2_query_ext_ctrl.
type queryExtControl struct {
	id, kind                           uint32
	name                               [32]byte
	minimum, maximum                   int64
	step                               uint64
	standard                           int64
	flags, elementSize, elements, dims uint32
	dim                                [4]uint32
	reserved                           [32]uint32
}

// control is struct v4l2_control.
type control struct {
	id    uint32
	value int32
}

// requestBuffers is struct v4l2_requestbuffers.
type requestBuffers struct {
	count, kind, memory, capabilities uint32
	flags                             uint8
	reserved                          [3]uint8
}

// bufferInfo is struct v4l2_buffer.
type bufferInfo struct {
	index, kind, bytesUsed, flags, field uint32
	timestamp                            unix.Timeval
	timecode                             [16]byte
	sequence, memory                     uint32
	offset                               uint32 // of the union m, the member for mmap
	pad                                  [pointer - 4]byte
	length, reserved2, requestFD         uint32
}

// Directions of _IOC as seen by the program, asm-generic/ioctl.h.
const (
	iocWrite = 1 << 30
	iocRead  = 2 << 30
)

// The calls: direction, size of the argument, 'V', number (QUERYCAP's is 0).
const (
	vidiocQueryCap      = iocRead | unsafe.Sizeof(capability{})<<16 | 'V'<<8
	vidiocGFmt          = iocRead | iocWrite | unsafe.Sizeof(format{})<<16 | 'V'<<8 | 4
	vidiocReqBufs       = iocRead | iocWrite | unsafe.Sizeof(requestBuffers{})<<16 | 'V'<<8 | 8
	vidiocQueryBuf      = iocRead | iocWrite | unsafe.Sizeof(bufferInfo{})<<16 | 'V'<<8 | 9
	vidiocQBuf          = iocRead | iocWrite | unsafe.Sizeof(bufferInfo{})<<16 | 'V'<<8 | 15
	vidiocDQBuf         = iocRead | iocWrite | unsafe.Sizeof(bufferInfo{})<<16 | 'V'<<8 | 17
	vidiocStreamOn      = iocWrite | 4<<16 | 'V'<<8 | 18
	vidiocStreamOff     = iocWrite | 4<<16 | 'V'<<8 | 19
	vidiocSCtrl         = iocRead | iocWrite | unsafe.Sizeof(control{})<<16 | 'V'<<8 | 28
	vidiocQueryExt      = iocRead | iocWrite | unsafe.Sizeof(queryExtControl{})<<16 | 'V'<<8 | 103
	vidiocEnumSizes     = iocRead | iocWrite | unsafe.Sizeof(frameSizes{})<<16 | 'V'<<8 | 74
	vidiocEnumIntervals = iocRead | iocWrite | unsafe.Sizeof(frameIntervals{})<<16 | 'V'<<8 | 75
	vidiocGParm         = iocRead | iocWrite | unsafe.Sizeof(streamParm{})<<16 | 'V'<<8 | 21
)

// ioctl makes one call, again after EINTR, which Go's own preemption signal causes. The pointer
// becomes a uintptr in the argument list of the call, the one place where the garbage collector
// allows it (package unsafe, rule 4).
func ioctl(fd int, call uintptr, argument unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), call, uintptr(argument))
		switch errno {
		case unix.EINTR:
			continue
		case 0:
			return nil
		}
		return errno
	}
}

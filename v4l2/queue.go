// The node's buffers: allocate, map, queue, dequeue, free. Sources: VIDIOC_REQBUFS,
// VIDIOC_QUERYBUF, VIDIOC_QBUF, VIDIOC_STREAMON.

package v4l2

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (n *node) Start(count int) error {
	err := n.allocate(count)
	if err == nil {
		kind := int32(typeCapture)
		if err = ioctl(n.fd, vidiocStreamOn, unsafe.Pointer(&kind)); err == nil {
			return nil
		}
		err = fmt.Errorf("STREAMON: %w", err)
	}
	_ = n.Stop() // the first error is the one to report
	return err
}

// allocate gets, maps and queues the buffers.
func (n *node) allocate(count int) error {
	got, err := n.requestBuffers(count)
	if err != nil {
		return err
	}
	if got < 2 { // one in use, one to be filled
		return fmt.Errorf("REQBUFS: asked for %d buffers, got %d", count, got)
	}
	for i := range got {
		q := &bufferInfo{index: uint32(i), kind: typeCapture, memory: memoryMmap}
		if err := ioctl(n.fd, vidiocQueryBuf, unsafe.Pointer(q)); err != nil {
			return fmt.Errorf("QUERYBUF %d: %w", i, err)
		}
		// Only for reading: nothing but the driver may write there.
		m, err := unix.Mmap(n.fd, int64(q.offset), int(q.length), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("map buffer %d of %d bytes: %w", i, q.length, err)
		}
		n.mappings = append(n.mappings, m)
		if err := n.Requeue(uint32(i)); err != nil {
			return err
		}
	}
	return nil
}

// requestBuffers with a count of 0 frees them all.
func (n *node) requestBuffers(count int) (int, error) {
	q := &requestBuffers{count: uint32(count), kind: typeCapture, memory: memoryMmap}
	if err := ioctl(n.fd, vidiocReqBufs, unsafe.Pointer(q)); err != nil {
		return 0, fmt.Errorf("REQBUFS %d: %w", count, err)
	}
	return int(q.count), nil
}

func (n *node) Dequeue(f *Filled) error {
	b := &n.reusedInfo
	*b = bufferInfo{kind: typeCapture, memory: memoryMmap}
	if err := ioctl(n.fd, vidiocDQBuf, unsafe.Pointer(b)); err != nil {
		return err // mostly EAGAIN, on every call of Next: wrapping it would allocate
	}
	if int(b.index) >= len(n.mappings) {
		return fmt.Errorf("DQBUF: buffer %d of %d", b.index, len(n.mappings))
	}
	m := n.mappings[b.index]
	*f = Filled{
		Index:    b.index,
		Bytes:    m[:min(int(b.bytesUsed), len(m))],
		Sequence: b.sequence,
		Damaged:  b.flags&flagError != 0,
	}
	if b.flags&flagClockMask == flagClockMonotonic {
		f.At = max(0, time.Duration(b.timestamp.Nano())) // a clock that wrapped is below 0: no time stamp
	}
	return nil
}

func (n *node) Requeue(index uint32) error {
	b := &n.reusedInfo
	*b = bufferInfo{index: index, kind: typeCapture, memory: memoryMmap}
	if err := ioctl(n.fd, vidiocQBuf, unsafe.Pointer(b)); err != nil {
		return fmt.Errorf("QBUF %d: %w", index, err)
	}
	return nil
}

// Stop stops the stream and frees the buffers, in the order that leaves no buffer behind: a
// mapped one survives REQBUFS(0), and the driver writes to a queued one until STREAMOFF. An
// error does not end it; it returns the first.
func (n *node) Stop() error {
	var first error
	kind := int32(typeCapture)
	if err := ioctl(n.fd, vidiocStreamOff, unsafe.Pointer(&kind)); err != nil {
		first = fmt.Errorf("STREAMOFF: %w", err)
	}
	for i, m := range n.mappings {
		if err := unix.Munmap(m); err != nil && first == nil {
			first = fmt.Errorf("unmap buffer %d: %w", i, err)
		}
	}
	n.mappings = nil
	if _, err := n.requestBuffers(0); err != nil && first == nil {
		first = err
	}
	return first
}

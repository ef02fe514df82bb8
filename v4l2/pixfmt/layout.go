// Where the samples of a picture lie in a buffer: strides, offsets, sizes. Arithmetic only;
// pixfmt_test.go has the sums.

package pixfmt

import "fmt"

// MaxSide is the largest width or height of a Layout. It keeps every size within
// a 32-bit int: 16384 * 16384 * 2 bytes = 512 MiB.
const MaxSide = 16384

// Layout describes a buffer. The zero Layout is not valid; see New and Check.
type Layout struct {
	Format        FourCC
	Width, Height int // pixels
	// Stride is the bytes of one row of the first plane, padding included; 0 if
	// the format is compressed.
	Stride int
	// Size is the minimum number of bytes that holds a whole picture; for a
	// compressed format the maximum that one can take.
	Size int
}

// Plane is one rectangle of samples in a buffer.
type Plane struct {
	Offset int // bytes from the start of the buffer
	Stride int // bytes from one row to the next
	Rows   int
}

// New gives the layout of a picture of width by height pixels in rows of stride
// bytes; a stride of 0 means rows without padding. For a compressed format stride
// must be 0, and Size becomes that of the same picture in 4:2:2, more than any
// camera's JPEG takes.
func New(f FourCC, width, height, stride int) (Layout, error) {
	l := Layout{Format: f, Width: width, Height: height, Stride: stride}
	if err := l.checkSides(); err != nil {
		return Layout{}, err
	}
	if f.Compressed() {
		l.Size = 2 * width * height
		return l, l.Check()
	}
	if stride == 0 {
		l.Stride = l.rowBytes()
	}
	l.Size = l.requiredSize()
	return l, l.Check()
}

// Check says whether the numbers fit each other, so that a reader of the buffer
// may trust them: sides in range and even unless the format is YU12, a stride that
// holds a row, a size that holds all planes.
func (l Layout) Check() error {
	if err := l.checkSides(); err != nil {
		return err
	}
	if l.Format.Compressed() {
		if l.Stride != 0 || l.Size <= 0 {
			return fmt.Errorf("layout %v: stride %d size %d: a compressed buffer has no stride and a positive size",
				l, l.Stride, l.Size)
		}
		return nil
	}
	// Chroma rows of YU12 are Stride/2 bytes (V4L2, "Planar YUV formats"). Of an odd width the
	// last chroma sample stands for one column; padding to an odd stride would leave half a sample.
	oddPadding := l.Format == YU12 && l.Stride%2 != 0 && l.Stride != l.Width
	if l.Stride < l.rowBytes() || l.Stride > 4*MaxSide || oddPadding {
		return fmt.Errorf("layout %v: stride %d: a row is %d bytes", l, l.Stride, l.rowBytes())
	}
	if l.Size < l.requiredSize() {
		return fmt.Errorf("layout %v: size %d: a picture is %d bytes", l, l.Size, l.requiredSize())
	}
	return nil
}

// Planes gives the planes of an uncompressed layout, the first n of p: one for
// YUYV and UYVY, Y and UV for NV12, Y, U and V for YU12, none for MJPG.
func (l Layout) Planes() (p [3]Plane, n int) {
	luma := l.Stride * l.Height
	p[0] = Plane{Stride: l.Stride, Rows: l.Height}
	switch l.Format {
	case YUYV, UYVY:
		return p, 1
	case NV12:
		p[1] = Plane{Offset: luma, Stride: l.Stride, Rows: l.Height / 2}
		return p, 2
	case YU12:
		stride, rows := (l.Stride+1)/2, (l.Height+1)/2
		p[1] = Plane{Offset: luma, Stride: stride, Rows: rows}
		p[2] = Plane{Offset: luma + stride*rows, Stride: stride, Rows: rows}
		return p, 3
	}
	return [3]Plane{}, 0
}

// String returns, for example, "YUYV 640x480".
func (l Layout) String() string { return fmt.Sprintf("%v %dx%d", l.Format, l.Width, l.Height) }

func (l Layout) checkSides() error {
	if !l.Format.Known() {
		return fmt.Errorf("layout %v: pixel format %v is not one of YUYV, UYVY, NV12, YU12, MJPG", l, l.Format)
	}
	if l.Width < 2 || l.Height < 2 || l.Width > MaxSide || l.Height > MaxSide {
		return fmt.Errorf("layout %v: want sides of 2 to %d pixels", l, MaxSide)
	}
	if l.Format != YU12 && (l.Width%2 != 0 || l.Height%2 != 0) {
		return fmt.Errorf("layout %v: want even sides: only YU12 has a rule for odd ones", l)
	}
	return nil
}

// rowBytes is the first plane's row without padding.
func (l Layout) rowBytes() int {
	if l.Format == YUYV || l.Format == UYVY {
		return 2 * l.Width
	}
	return l.Width
}

// RequiredBytes is how many bytes of a buffer hold a picture. Its last row needs no padding: some
// drivers count it, some do not. A compressed picture has no minimum.
func (l Layout) RequiredBytes() int {
	p, n := l.Planes()
	if n == 0 {
		return 0
	}
	last := p[n-1]
	row := l.rowBytes()
	if l.Format == YU12 {
		row = (l.Width + 1) / 2
	}
	return last.Offset + last.Stride*(last.Rows-1) + row
}

// requiredSize is the offset at which the last plane ends, its last row padded like the others.
func (l Layout) requiredSize() int {
	p, n := l.Planes()
	if n == 0 {
		return 0
	}
	last := p[n-1]
	return last.Offset + last.Stride*last.Rows
}

package drive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// wholeSectors is a device that takes nothing else.
type wholeSectors struct{ b []byte }

var errPart = errors.New("part of a sector")

func (w wholeSectors) check(b []byte, at int64) error {
	if at%512 != 0 || len(b)%512 != 0 || at+int64(len(b)) > int64(len(w.b)) {
		return fmt.Errorf("%w: %d bytes at %d", errPart, len(b), at)
	}
	return nil
}

func (w wholeSectors) ReadAt(b []byte, at int64) (int, error) {
	if err := w.check(b, at); err != nil {
		return 0, err
	}
	return copy(b, w.b[at:]), nil
}

func (w wholeSectors) WriteAt(b []byte, at int64) (int, error) {
	if err := w.check(b, at); err != nil {
		return 0, err
	}
	return copy(w.b[at:], b), nil
}

func TestAnyBytesAreReadAndWrittenThroughWholeSectors(t *testing.T) {
	const size = 10*sectorRoom + 1536 // ends with sectors of 512 bytes
	want := make([]byte, size)
	d := sectorDevice{wholeSectors{make([]byte, size)}, size}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		at := random.IntN(size)
		b := make([]byte, random.IntN(min(3*sectorRoom, size-at))+1)
		for i := range b {
			b[i] = byte(random.Int())
		}
		if n, err := d.WriteAt(b, int64(at)); n != len(b) || err != nil {
			t.Fatalf("write %d bytes at %d: %d, %v", len(b), at, n, err)
		}
		copy(want[at:], b)
		from := random.IntN(size)
		got := make([]byte, random.IntN(size-from)+1)
		if n, err := d.ReadAt(got, int64(from)); n != len(got) || err != nil || !bytes.Equal(got, want[from:from+n]) {
			t.Fatalf("read %d bytes at %d: %d, %v", len(got), from, n, err)
		}
	}
	if _, err := d.WriteAt(make([]byte, 2), size-1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("beyond the end: %v", err)
	}
}

package update

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"
)

// memoryLimit is the most bytes that taking a bundle may allocate, all of it together: what is held
// at one time is less.
const memoryLimit = 8 << 20

// allocated counts the bytes that do takes from the heap.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// zeros gives n bytes without holding them.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestSpoolTakesALargeBundleInBoundedMemory(t *testing.T) {
	const size = 64 << 20
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	sum := sha256.New()
	if _, err := io.Copy(sum, zeros(size)); err != nil {
		t.Fatal(err)
	}
	root := &v.manifest.Parts[len(v.manifest.Parts)-1]
	root.Size, root.SHA256 = size, hex.EncodeToString(sum.Sum(nil))
	v.seal(t, by)
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(WriteBundle(w, v.raw, v.sig, v.manifest.Parts, func(p Part) (io.ReadCloser, error) {
			if p.Name == RootName {
				return io.NopCloser(zeros(size)), nil
			}
			return v.open(p)
		}))
	}()
	s, _ := newSpool(t)
	var err error
	took := allocated(func() { _, err = s.Take(r, nil, 0, check(Manifest{}, nil, by.public)) })
	if err != nil || !s.Has(*root) {
		t.Fatal(err)
	}
	if took > memoryLimit {
		t.Errorf("a bundle of %d MiB took %d bytes of memory, want at most %d", size>>20, took, memoryLimit)
	}
	t.Logf("FIGURE update: a bundle of %d MiB took %d kB of memory altogether", size>>20, took/1000)
}

func TestBombsTakeLittleMemoryAndLittleOfTheStream(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	huge := newTarHeader(ManifestName, 100_000_000)
	for name, c := range map[string]struct {
		head []byte
		most int64 // bytes that may be read
	}{
		"a manifest of 100 MB":      {huge[:], tarBlock},
		"zeros without end":         {nil, tarBlock},
		"a part without end behind": {v.bundle(t)[:tarBlock+padded(int64(len(v.raw)))], 1 << 20},
	} {
		counted := &countingReader{r: io.MultiReader(bytes.NewReader(c.head), zeroReader{})}
		var err error
		took := allocated(func() {
			err = ReadBundle(counted, check(Manifest{}, nil, by.public), func(Part, io.Reader) error { return nil })
		})
		if !errors.Is(err, ErrBundle) || took > 1<<20 || counted.n > c.most {
			t.Errorf("%s: %v after %d bytes with %d bytes of memory, want %v after %d",
				name, err, counted.n, took, ErrBundle, c.most)
		}
	}
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

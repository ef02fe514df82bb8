// A bundle in a file, where its owner's machine reads it.

package update

import (
	"fmt"
	"io"
)

// A Bundle is one in a file. Its signature has not been checked.
type Bundle struct {
	Manifest  Manifest
	Raw       []byte // the manifest's file
	Signature []byte
	r         io.ReaderAt
	at        map[string]int64 // where each part begins
}

// OpenBundle opens a whole bundle of size bytes; the caller closes the file below. The parts are
// checked by whoever reads them.
func OpenBundle(r io.ReaderAt, size int64) (*Bundle, error) {
	b := Bundle{r: r, at: map[string]int64{}}
	var err error
	if b.Raw, b.Signature, err = ReadHead(io.NewSectionReader(r, 0, size)); err != nil {
		return nil, err
	}
	if b.Manifest, err = ParseManifest(b.Raw); err != nil {
		return nil, err
	}
	at, whole := Offsets(b.Manifest.Parts, len(b.Raw), len(b.Signature))
	if whole != size {
		return nil, fmt.Errorf("%w: %d bytes, its manifest says %d", ErrBundle, size, whole)
	}
	for i, p := range b.Manifest.Parts {
		b.at[p.Name] = at[i]
	}
	return &b, nil
}

// Open gives the bytes of a part of the manifest, as WriteBundle wants them.
func (b *Bundle) Open(p Part) (io.ReadCloser, error) {
	at, ok := b.at[p.Name]
	if !ok {
		return nil, fmt.Errorf("%w: no part %s", ErrBundle, p.Name)
	}
	return io.NopCloser(io.NewSectionReader(b.r, at, p.Size)), nil
}

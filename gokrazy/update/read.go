// Reading a bundle that may be a stranger's, from a stream. Until the signature was found right,
// nothing is believed but two sizes, which have limits; after it, only the manifest counts.

package update

import (
	"errors"
	"fmt"
	"io"
)

// ReadBundle reads a bundle to the end of r: the whole one, or one that leaves parts out.
//
// begin gets manifest and signature first; it verifies, parses and permits. Its error ends the
// reading, and so what it returns was signed. take gets each part that comes, in the manifest's
// order, and reads as much of it as it wants; it looks at the hash (Spool.Put does).
//
// A member that is not exactly what WriteBundle writes of a later part of the manifest is refused:
// a link, a device, an extension of pax or GNU, another size, order or name; so is what lacks its
// end or goes on behind it. All that is ErrBundle. At most MaxManifest bytes are held.
func ReadBundle(r io.Reader, begin func(raw, sig []byte) (Manifest, error), take func(Part, io.Reader) error) error {
	raw, sig, err := ReadHead(r)
	if err != nil {
		return err
	}
	m, err := begin(raw, sig)
	if err != nil {
		return err
	}
	for rest := m.Parts; ; {
		var h tarHeader
		if err := readWhole(r, h[:], "header"); err != nil {
			return err
		}
		if h == (tarHeader{}) {
			return readEnd(r)
		}
		var p Part
		if p, rest, err = nextPart(rest, &h); err != nil {
			return err
		}
		if err := readPart(r, p, take); err != nil {
			return err
		}
	}
}

// ReadHead reads manifest and signature, neither of which is believed yet, and no byte more.
func ReadHead(r io.Reader) (raw, sig []byte, err error) {
	if raw, err = readMember(r, ManifestName, MaxManifest); err != nil {
		return nil, nil, err
	}
	if sig, err = readMember(r, SignatureName, MaxSignature); err != nil {
		return nil, nil, err
	}
	return raw, sig, nil
}

// readMember reads manifest or signature, whose size nothing but the header says yet.
func readMember(r io.Reader, name string, limit int64) ([]byte, error) {
	var h tarHeader
	if err := readWhole(r, h[:], "header of "+name); err != nil {
		return nil, err
	}
	size, ok := h.size()
	switch {
	case ok && size > limit && h.name() == name:
		return nil, fmt.Errorf("%w: %s: %d bytes, at most %d", ErrBundle, name, size, limit)
	case h.name() != name:
		return nil, fmt.Errorf("%w: it has %q where %s should be", ErrBundle, h.name(), name)
	case !ok || h != newTarHeader(name, size):
		return nil, fmt.Errorf("%w: the tar header of %s is not as camctl writes it: do not pack a bundle again",
			ErrBundle, name)
	}
	b := make([]byte, size)
	if err := readWhole(r, b, name); err != nil {
		return nil, err
	}
	return b, readPadding(r, size)
}

// nextPart finds the part that a header is of among those that may still come.
func nextPart(rest []Part, h *tarHeader) (Part, []Part, error) {
	for i, p := range rest {
		if p.Name == h.name() && *h == newTarHeader(p.Name, p.Size) {
			return p, rest[i+1:], nil
		}
	}
	return Part{}, nil, fmt.Errorf("%w: member %q is not what the manifest lets follow", ErrBundle, h.name())
}

// readPart reads past a part, whatever take leaves of it.
func readPart(r io.Reader, p Part, take func(Part, io.Reader) error) error {
	body := &partReader{r: r, left: p.Size, name: p.Name}
	if err := take(p, body); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	return readPadding(r, p.Size)
}

// A partReader gives the bytes of one part. A stream that ends too early is ErrBundle, never an
// end of the part.
type partReader struct {
	r    io.Reader
	left int64
	name string
}

func (p *partReader) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	if errors.Is(err, io.EOF) && p.left > 0 {
		return n, truncated(p.name)
	}
	if errors.Is(err, io.EOF) {
		err = nil // the next Read says so
	}
	return n, err
}

func readPadding(r io.Reader, size int64) error {
	var b [tarBlock]byte
	pad := b[:padded(size)-size]
	if err := readWhole(r, pad, "padding"); err != nil {
		return err
	}
	for _, c := range pad {
		if c != 0 {
			return fmt.Errorf("%w: padding that is not zero", ErrBundle)
		}
	}
	return nil
}

// readEnd wants the second block of zeros, and nothing behind it.
func readEnd(r io.Reader) error {
	var h tarHeader
	if err := readWhole(r, h[:], "end"); err != nil {
		return err
	}
	if h != (tarHeader{}) {
		return fmt.Errorf("%w: something behind its end", ErrBundle)
	}
	switch n, err := io.ReadFull(r, h[:1]); {
	case n > 0:
		return fmt.Errorf("%w: something behind its end", ErrBundle)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// readWhole fills b.
func readWhole(r io.Reader, b []byte, what string) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return truncated(what)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// truncated is about a stream that ended within what.
func truncated(what string) error {
	return fmt.Errorf("%w: it ends within %s: %w", ErrBundle, what, io.ErrUnexpectedEOF)
}

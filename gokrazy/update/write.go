// Writing a bundle.

package update

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// WriteBundle writes a bundle of these parts, all of a manifest or what a board lacks of it, in the
// manifest's order. open gives the bytes of each, which are checked on the way.
func WriteBundle(w io.Writer, raw, sig []byte, parts []Part, open func(Part) (io.ReadCloser, error)) error {
	for _, head := range []struct {
		name string
		b    []byte
	}{{ManifestName, raw}, {SignatureName, sig}} {
		h := newTarHeader(head.name, int64(len(head.b)))
		for _, b := range [][]byte{h[:], head.b, padding(int64(len(head.b)))} {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	for _, p := range parts {
		if err := writePart(w, p, open); err != nil {
			return fmt.Errorf("part %s: %w", p.Name, err)
		}
	}
	_, err := w.Write(make([]byte, 2*tarBlock))
	return err
}

func writePart(w io.Writer, p Part, open func(Part) (io.ReadCloser, error)) error {
	h := newTarHeader(p.Name, p.Size)
	if _, err := w.Write(h[:]); err != nil {
		return err
	}
	r, err := open(p)
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, p.Size))
	if err != nil {
		return err
	}
	if n != p.Size || hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
		return fmt.Errorf("%w: %d bytes of %d, not what the manifest says", ErrPart, n, p.Size)
	}
	_, err = w.Write(padding(p.Size))
	return err
}

func padding(size int64) []byte { return make([]byte, padded(size)-size) }

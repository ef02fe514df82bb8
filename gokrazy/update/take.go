// A bundle from a stream into the spool, whole or without what is here already.

package update

import (
	"fmt"
	"io"
)

// Take takes a bundle from a stream into the spool, and says how many bytes of parts it has taken. check
// verifies, parses and permits, as begin of ReadBundle. Parts that are here or in have are passed over.
//
// skip is how many bytes of the bundle's first part the sender leaves out, because they are here: at most
// that part's Partial, else ErrSkip.
func (s *Spool) Take(r io.Reader, have map[string]bool, skip int64,
	check func(raw, sig []byte) (Manifest, error)) (taken int64, err error) {
	gap := &gapReader{r: r}
	begin := func(raw, sig []byte) (Manifest, error) {
		m, err := check(raw, sig)
		if err != nil {
			return Manifest{}, err
		}
		at, _ := Offsets([]Part{{}}, len(raw), len(sig))
		gap.at, gap.left = at[0], skip
		return m, s.Begin(raw, sig, m, have)
	}
	from := skip
	err = ReadBundle(gap, begin, func(p Part, r io.Reader) error {
		n, err := s.takePart(p, from, r, have)
		taken, from = taken+n, 0
		return err
	})
	return taken, err
}

// takePart takes one part, of which the sender has left out the bytes up to from: r has zeros there.
func (s *Spool) takePart(p Part, from int64, r io.Reader, have map[string]bool) (taken int64, err error) {
	if from > p.Size {
		return 0, fmt.Errorf("%w: part %s has %d bytes", ErrSkip, p.Name, p.Size)
	}
	if have[p.SHA256] || s.Has(p) {
		return 0, nil
	}
	if here := s.Partial(p); from > here {
		return 0, fmt.Errorf("%w: the board has %d bytes of part %s", ErrSkip, here, p.Name)
	}
	if _, err := io.CopyN(io.Discard, r, from); err != nil {
		return 0, err
	}
	counted := &counter{r: r}
	err = s.Put(p, from, counted)
	return counted.n, err
}

// A gapReader gives left zeros when at bytes have been read: in the place of what was not sent.
type gapReader struct {
	r             io.Reader
	pos, at, left int64
}

func (g *gapReader) Read(b []byte) (int, error) {
	if g.left > 0 && g.pos == g.at {
		n := min(int64(len(b)), g.left)
		clear(b[:n])
		g.left -= n
		return int(n), nil
	}
	if g.left > 0 {
		b = b[:min(int64(len(b)), g.at-g.pos)]
	}
	n, err := g.r.Read(b)
	g.pos += int64(n)
	return n, err
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

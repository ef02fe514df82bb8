// How large a key frame may be: small where the path turned out to be narrow.

package pipeline

import "github.com/krazycam/krazycam/encoder"

// A narrowness tells a path that turned out to carry less than the owner's rate, where
// key frames must be small, from a stream that only begins with less.
type narrowness struct {
	owner, last encoder.Bitrate // last: as advised before; 0: not yet
	is          bool
}

func (n *narrowness) follow(enc *encoder.Encoder, rate encoder.Bitrate) error {
	is := rate < n.owner && (n.is || n.last != 0 && rate < n.last)
	n.last = rate
	if is == n.is {
		return nil
	}
	n.is = is
	return enc.Set(encoder.MaxIntra, enc.Config().MaxIntra(is))
}

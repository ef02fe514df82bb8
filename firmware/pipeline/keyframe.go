// How large a key frame may be: small where the path turned out to be narrow.

package pipeline

import "github.com/krazycam/krazycam/encoder"

// A keyFrameSize tells a path that turned out to carry less than the owner's rate, where key
// frames must be small, from a stream that only begins with less.
type keyFrameSize struct {
	ownerRate, lastRate encoder.Bitrate // lastRate: the network's advice before; 0: none yet
	small               bool
}

// A path that carries the owner's rate gives wideShare of it, less headerSize bytes a picture, to VP8:
// more headers and what is sent again take the rest. Headers are what counts at low rates: of IPv6 (40),
// UDP (8), RTP (12), extensions (16) and the VP8 descriptor (4).
const (
	wideShare  = 0.85
	headerSize = 40 + 8 + 12 + 16 + 4
)

// wideRate is the least rate of VP8, at fps pictures a second, that says that the path is wide.
func (k *keyFrameSize) wideRate(fps int) encoder.Bitrate {
	return encoder.Bitrate(wideShare*float64(k.ownerRate)) - encoder.Bitrate(8*headerSize*fps)
}

// followRate changes the encoder's limit of a key frame when the advised rate calls for it. Key
// frames become small when the rate falls, and stay so until it is nearly the owner's again.
func (k *keyFrameSize) followRate(enc *encoder.Encoder, rate encoder.Bitrate) error {
	fell := k.lastRate != 0 && rate < k.lastRate
	small := rate < k.wideRate(enc.Config().FPS) && (k.small || fell)
	k.lastRate = rate
	if small == k.small {
		return nil
	}
	k.small = small
	return enc.SetControl(encoder.ControlMaxIntra, enc.Config().MaxIntraPercent(small))
}

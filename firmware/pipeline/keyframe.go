// How large a key frame may be: small where the path turned out to be narrow.

package pipeline

import "github.com/krazycam/krazycam/encoder"

// A keyFrameSize tells a path that turned out to carry less than the owner's rate, where key
// frames must be small, from a stream that only begins with less.
type keyFrameSize struct {
	ownerRate, lastRate encoder.Bitrate // lastRate: the network's advice before; 0: none yet
	small               bool
}

// wideShare of the owner's rate is what a path gives to VP8 that carries the owner's rate: headers
// and what is sent again take the rest.
const wideShare = 0.85

// followRate changes the encoder's limit of a key frame when the advised rate calls for it. Key
// frames become small when the rate falls, and stay so until it is nearly the owner's again.
func (k *keyFrameSize) followRate(enc *encoder.Encoder, rate encoder.Bitrate) error {
	fell := k.lastRate != 0 && rate < k.lastRate
	small := float64(rate) < wideShare*float64(k.ownerRate) && (k.small || fell)
	k.lastRate = rate
	if small == k.small {
		return nil
	}
	k.small = small
	return enc.SetControl(encoder.ControlMaxIntra, enc.Config().MaxIntraPercent(small))
}

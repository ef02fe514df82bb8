// New keys for each grant. Spec: RFC 3711, RFC 7714 (AES-GCM).

package single

import (
	"crypto/rand"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// makeKeys makes new keys for a source that can use them, or says why not.
func (g *Gateway) makeKeys(r request) (*wire.SRTP, *wire.Refusal) {
	if !g.config.SRTP {
		return nil, nil
	}
	if !r.secure {
		return nil, refuse(wire.CodeNoDescriptor,
			"this gateway grants SRTP only, and keys travel over https only")
	}
	for _, profile := range r.profiles {
		if n := wire.KeySize(profile); n > 0 {
			k := &wire.SRTP{Profile: profile, Source: make([]byte, n), Receiver: make([]byte, n)}
			rand.Read(k.Source) // never fails
			rand.Read(k.Receiver)
			return k, nil
		}
	}
	return nil, refuse(wire.CodeNoDescriptor,
		"this gateway grants SRTP only: the source offers no profile that it knows")
}

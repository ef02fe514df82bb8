// New keys for each grant. Spec: RFC 3711, RFC 7714 (AES-GCM).

package gateway

import (
	"crypto/rand"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// makeKeys makes new keys for a source that can use them, or says why not.
func (g *Gateway) makeKeys(c *call) (*wire.SRTP, *wire.Refusal) {
	if !g.config.SRTP {
		return nil, nil
	}
	if !c.isSecure {
		return nil, refuse(wire.CodeNoDescriptor,
			"this gateway grants SRTP only, and keys travel over https only")
	}
	for _, profile := range c.profiles {
		if n := wire.KeySize(profile); n > 0 {
			k := &wire.SRTP{Profile: profile, Source: make([]byte, n), Receiver: make([]byte, n)}
			_, _ = rand.Read(k.Source) // never fails
			_, _ = rand.Read(k.Receiver)
			return k, nil
		}
	}
	return nil, refuse(wire.CodeNoDescriptor,
		"this gateway grants SRTP only: the source offers no profile that it knows")
}

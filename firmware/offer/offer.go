// Package offer is the file in which camsource passes on that the gateway offers an update.
//
// camsource writes it, under /run, when the gateway begins to offer, offers something else, or stops;
// camweb reads it and decides whether and when it fetches. Neither believes the other: whoever reads
// checks what was read, and nothing is run that is not signed. The package owns nothing between
// two calls.
//
// Source: docs/gateway.md, the member update.
package offer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// Path is where the file lies on a board; init makes the folder for camsource's user.
const Path = "/run/camsource/offer.json"

// maxFile, in bytes, is twice the longest offer: its CA comes out of a configuration of 64 KiB at most.
const maxFile = 128 << 10

// An Offer is what the gateway offers at present.
type Offer struct {
	URL     string `json:"url"` // https; its query may hold a secret: Place is for logs
	Version string `json:"version"`
	Now     bool   `json:"now"` // at once; else at a random moment within an hour

	// CA is PEM of the only authorities to trust: the owner's gateway.ca, if the URL is on the gateway's
	// own server, which may have signed its certificate itself. "": the public authorities.
	CA string `json:"ca,omitempty"`
}

func (o Offer) update() wire.Update {
	return wire.Update{URL: o.URL, Version: o.Version, Now: wire.Bool(o.Now)}
}

// Check says what keeps the offer from being used, without what may be a secret.
func (o Offer) Check() error { return o.update().Check() }

// Place is the URL for logs, without its query.
func (o Offer) Place() string { return o.update().Place() }

// IsSame says whether both offer the same: a version at a place. The query of a URL may be another one in
// each answer, such as a signature that runs out.
func (o Offer) IsSame(other Offer) bool {
	return o.Version == other.Version && o.Place() == other.Place()
}

// Read gives the offer of the file, checked. If nothing is offered, the error wraps fs.ErrNotExist.
func Read(path string) (Offer, error) {
	b, err := openfile.Read(path, maxFile)
	if err != nil {
		return Offer{}, fmt.Errorf("offer: %w", err)
	}
	var o Offer
	if err := json.Unmarshal(b, &o); err != nil {
		return Offer{}, fmt.Errorf("offer: %s: %w", path, err)
	}
	if err := o.Check(); err != nil {
		return Offer{}, fmt.Errorf("offer: %s: %w", path, err)
	}
	return o, nil
}

// Write replaces the file in one step. Every user may read it.
func Write(path string, o Offer) error {
	if err := o.Check(); err != nil {
		return fmt.Errorf("offer: %w", err)
	}
	b, err := json.Marshal(o)
	if err == nil {
		err = atomicfile.Replace(path, 0o644, atomicfile.Bytes(b))
	}
	if err != nil {
		return fmt.Errorf("offer: %w", err)
	}
	return nil
}

// Remove says that nothing is offered any more; a file that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("offer: %w", err)
	}
	return nil
}

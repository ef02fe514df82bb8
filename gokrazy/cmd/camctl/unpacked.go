// Which verbs take an image only as it lies on a card: all but flash.

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/flash/unpack"
)

var errPacked = errors.New("is packed: unpack it first (xz -dk); only camctl flash takes it as it is")

// openUnpacked opens an image, or a card, to read it; one that is packed gives errPacked. The caller closes the file.
func openUnpacked(path string) (f *os.File, size int64, err error) {
	f, size, err = openfile.Disk(path, os.O_RDONLY)
	if err != nil {
		return nil, 0, err
	}
	if unpack.IsXZ(f) {
		_ = f.Close()
		return nil, 0, fmt.Errorf("%s: %w", path, errPacked)
	}
	return f, size, nil
}

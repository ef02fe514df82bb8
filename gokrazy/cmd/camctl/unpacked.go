// Which verbs take an image only as it lies on a card: all but flash.

package main

import (
	"fmt"
	"os"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/flash/unpack"
)

// openUnpacked opens an image, or a card, to read it; one that is packed is an error that says what to do. The
// caller closes the file.
func openUnpacked(path string) (f *os.File, size int64, err error) {
	f, size, err = openfile.Disk(path, os.O_RDONLY)
	if err != nil {
		return nil, 0, err
	}
	if unpack.IsXZ(f) {
		_ = f.Close()
		return nil, 0, fmt.Errorf("%s: is packed: unpack it first (xz -dk); only camctl flash takes it as it is", path)
	}
	return f, size, nil
}

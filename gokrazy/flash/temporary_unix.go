//go:build unix

package flash

import (
	"errors"
	"os"
)

// temporary makes a file without a name: it is gone however the process ends. What is not written of it
// takes no room.
func temporary() (*os.File, error) {
	f, err := os.CreateTemp("", "krazycam-*.img")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

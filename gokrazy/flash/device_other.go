//go:build !linux

// Flashing where camctl cannot ask the kernel what a device is, how large it is
// and whether it is in use: files only.

package flash

import (
	"fmt"
	"os"

	"github.com/krazycam/krazycam/gokrazy/card"
)

// exclusive has no meaning here.
const exclusive = 0

// checkDevice refuses every device: the owner's own tool knows cards from disks.
func checkDevice(job Job) error {
	return fmt.Errorf("%w: %s: on this system camctl writes into files only: write the image with Raspberry Pi "+
		"Imager, then put the seed as %s onto the card's boot partition", ErrNotACard, job.Target, card.SeedName)
}

// dropCache does nothing: what was written into a file is read from memory.
func dropCache(*os.File) error { return nil }

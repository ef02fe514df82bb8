// config.txt and tryboot.txt of a Raspberry Pi: which folder os_prefix= names. An owner may have
// edited config.txt, so nothing but that letter is changed, and where it stands is found anew.
// Spec: Raspberry Pi documentation, "config.txt", "os_prefix".

package slot

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

const (
	prefixKey = "os_prefix="
	// maxConfig bounds what is read of a config.txt: one cluster of our boot partition.
	maxConfig = 4096
)

// ErrConfig means that config.txt or tryboot.txt names no slot, or cannot be switched.
var ErrConfig = errors.New("os_prefix")

// ConfigSlot says which slot a config.txt or tryboot.txt names. There may be several lines of
// os_prefix, one for each model; all must name the same.
func ConfigSlot(text []byte) (Name, error) {
	places, err := prefixPlaces(text)
	if err != nil {
		return None, err
	}
	n := Name(text[places[0] : places[0]+1])
	for _, at := range places[1:] {
		if Name(text[at:at+1]) != n {
			return None, fmt.Errorf("%w: names slots a and b", ErrConfig)
		}
	}
	return n, nil
}

// Config gives the text with another slot in all lines of os_prefix. It has the same length.
func Config(text []byte, n Name) ([]byte, error) {
	if !n.Valid() {
		return nil, fmt.Errorf("%w: slot %q", ErrConfig, n)
	}
	places, err := prefixPlaces(text)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(text)
	for _, at := range places {
		out[at] = n[0]
	}
	return out, nil
}

// prefixPlaces finds the slots' letters.
func prefixPlaces(text []byte) (places []int, err error) {
	at := 0
	for line := range bytes.Lines(text) {
		value, ok := bytes.CutPrefix(bytes.TrimLeft(line, " \t"), []byte(prefixKey))
		if ok {
			folder := bytes.TrimRight(value, " \t\r\n\x00")
			if len(folder) != 2 || !Name(folder[:1]).Valid() || folder[1] != '/' {
				return nil, fmt.Errorf("%w: is %.40q, want a/ or b/", ErrConfig, folder)
			}
			places = append(places, at+len(line)-len(value))
		}
		at += len(line)
	}
	if places == nil {
		return nil, fmt.Errorf("%w: no such line", ErrConfig)
	}
	return places, nil
}

// prefixSector is the sector of the text that holds all of the slots' letters. In two sectors they
// could not be changed at once.
func prefixSector(text []byte) (int, error) {
	places, err := prefixPlaces(text)
	if err != nil {
		return 0, err
	}
	sector := places[0] / disk.SectorSize
	if last := places[len(places)-1] / disk.SectorSize; last != sector {
		return 0, fmt.Errorf("%w: its lines lie in sectors %d and %d of the file: keep all of them within the "+
			"first %d bytes", ErrConfig, sector, last, disk.SectorSize)
	}
	return sector, nil
}

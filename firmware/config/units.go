// Size and Bitrate: values with a unit, as a person writes them in the file and
// on the command line.

package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a picture's width and height; the zero Size means "not said".
type Size struct{ Width, Height int }

// Bounds of a picture: below one macroblock there is nothing to encode, above
// 4096 no UVC camera gives pictures at a rate that a board could encode.
const (
	minSide = 16
	maxSide = 4096
)

const sizeWords = "WIDTHxHEIGHT, such as 640x480"

// ParseSize reads "640x480". Both sides are even, since a 4:2:0 picture has one
// colour sample for each two by two.
func ParseSize(s string) (Size, error) {
	w, h, found := strings.Cut(s, "x")
	width, errW := strconv.ParseUint(w, 10, 16)
	height, errH := strconv.ParseUint(h, 10, 16)
	if !found || errW != nil || errH != nil {
		return Size{}, fmt.Errorf("%q must be %s", s, sizeWords)
	}
	if min(width, height) < minSide || max(width, height) > maxSide || width%2 != 0 || height%2 != 0 {
		return Size{}, fmt.Errorf("%q must have even sides from %d to %d", s, minSide, maxSide)
	}
	return Size{int(width), int(height)}, nil
}

// String gives "640x480", or "" for the zero Size.
func (s Size) String() string {
	if s == (Size{}) {
		return ""
	}
	return fmt.Sprintf("%dx%d", s.Width, s.Height)
}

// Bitrate is in bit/s; 0 means "not said".
type Bitrate int

// Bounds of a bitrate: below the first VP8 drops most pictures even at QVGA, above the
// second a 100 Mbit/s port would have less than half left for everything else.
const (
	MinBitrate Bitrate = 20_000
	MaxBitrate Bitrate = 40_000_000
)

const bitrateWords = `a bitrate from 20k to 40M, such as "600k", "1.2M" or 600000`

// ParseBitrate reads "600k", "1.2M" or "600000"; k is 1,000 and M 1,000,000 bit/s.
func ParseBitrate(s string) (Bitrate, error) {
	digits, unit := s, 1.0
	switch {
	case strings.HasSuffix(s, "k"):
		digits, unit = strings.TrimSuffix(s, "k"), 1e3
	case strings.HasSuffix(s, "M"):
		digits, unit = strings.TrimSuffix(s, "M"), 1e6
	}
	// ParseFloat alone would also take 0x1p3, Inf and 1_000.
	if strings.Trim(digits, "0123456789.") != "" {
		return 0, fmt.Errorf("%q must be %s", s, bitrateWords)
	}
	f, err := strconv.ParseFloat(digits, 64)
	rate := math.Round(f * unit)
	if err != nil || rate < float64(MinBitrate) || rate > float64(MaxBitrate) {
		return 0, fmt.Errorf("%q must be %s", s, bitrateWords)
	}
	return Bitrate(rate), nil
}

// String gives the shortest form that ParseBitrate reads back to the same value.
func (b Bitrate) String() string {
	switch {
	case b >= 1_000_000 && b%1000 == 0:
		return strconv.FormatFloat(float64(b)/1e6, 'f', -1, 64) + "M"
	case b >= 1000 && b%1000 == 0:
		return strconv.Itoa(int(b/1000)) + "k"
	case b == 0:
		return ""
	}
	return strconv.Itoa(int(b))
}

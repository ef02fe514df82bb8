// The text of a YUV4MPEG2 file: its first line and the line before each picture. The file may
// come from anybody, so lines, sides and rates have limits. Format: yuv4mpeg(5) of mjpegtools.

package v4l2

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// maxY4MLine is the longest line that is read: ffmpeg's own take about 100 bytes.
const maxY4MLine = 1024

// The slowest and the fastest rate of a file: an hour between pictures, 1000 pictures a second.
const (
	longestInterval  = time.Hour
	shortestInterval = time.Millisecond
)

var errNotY4M = errors.New("not a YUV4MPEG2 file")

type y4mHeader struct {
	layout   pixfmt.Layout
	interval time.Duration
}

// parseY4MHeader reads the first line and returns its length in bytes.
func parseY4MHeader(b []byte) (h y4mHeader, n int, err error) {
	line, n, err := parseY4MLine(b, "YUV4MPEG2")
	if err != nil {
		return h, 0, fmt.Errorf("%w: %w", errNotY4M, err)
	}
	var width, height int
	for _, field := range strings.Fields(line) {
		key, value := field[0], field[1:]
		switch key {
		case 'W':
			width, err = strconv.Atoi(value)
		case 'H':
			height, err = strconv.Atoi(value)
		case 'F':
			h.interval, err = parseY4MRate(value)
		case 'C':
			err = checkY4MColours(value)
		}
		if err != nil {
			return y4mHeader{}, 0, fmt.Errorf("header field %q: %w", field, err)
		}
	}
	if h.interval == 0 {
		return y4mHeader{}, 0, errors.New("header: no frame rate (F30:1)")
	}
	h.layout, err = pixfmt.New(pixfmt.YU12, width, height, 0)
	if err != nil {
		return y4mHeader{}, 0, fmt.Errorf("header: %w", err)
	}
	return h, n, nil
}

// parseY4MFrame reads the line before a picture and returns its length in bytes. The parameters
// in the line are not needed.
func parseY4MFrame(b []byte) (n int, err error) {
	_, n, err = parseY4MLine(b, "FRAME")
	return n, err
}

// parseY4MLine returns what follows the word at the start of a line, and the line's length.
func parseY4MLine(b []byte, word string) (rest string, n int, err error) {
	b = b[:min(len(b), maxY4MLine)]
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return "", 0, fmt.Errorf("no end of line within %d bytes", len(b))
	}
	rest, ok := strings.CutPrefix(string(b[:end]), word)
	if !ok || rest != "" && rest[0] != ' ' {
		return "", 0, fmt.Errorf("line %.20q: want %s", b[:end], word)
	}
	return rest, end + 1, nil
}

func parseY4MRate(value string) (time.Duration, error) {
	a, b, _ := strings.Cut(value, ":")
	pictures, err := strconv.ParseUint(a, 10, 31)
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseUint(b, 10, 31)
	if err != nil {
		return 0, err
	}
	// 2^31 * 1e9 < 2^63: the product fits.
	if pictures == 0 || seconds == 0 {
		return 0, errors.New("rate unknown")
	}
	interval := time.Duration(seconds) * time.Second / time.Duration(pictures)
	if interval < shortestInterval || interval > longestInterval {
		return 0, fmt.Errorf("%v between pictures: want %v to %v",
			interval, shortestInterval, longestInterval)
	}
	return interval, nil
}

// checkY4MColours accepts the names of 8-bit 4:2:0. They differ only in the position of the
// chroma samples, by half a pixel.
func checkY4MColours(value string) error {
	switch value {
	case "420", "420jpeg", "420mpeg2", "420paldv":
		return nil
	}
	return errors.New("only 8-bit 4:2:0 is read: convert with ffmpeg -pix_fmt yuv420p")
}

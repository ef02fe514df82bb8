// The text of a YUV4MPEG2 file: its first line and the line before each picture. The file may
// come from anybody, so lines, sides and rates have limits. Format: yuv4mpeg(5) of mjpegtools.

package v4l2

import (
	"bytes"
	"cmp"
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

// y4mMagic begins a file.
const y4mMagic = "YUV4MPEG2"

type y4mHeader struct {
	layout     pixfmt.Layout
	interval   time.Duration // 0: the file does not say
	interlaced bool
}

// parseY4MHeader reads the first line and returns its length in bytes.
func parseY4MHeader(b []byte) (h y4mHeader, n int, err error) {
	line, n, err := parseY4MLine(b, y4mMagic)
	if err != nil {
		return h, 0, fmt.Errorf("%w: %w", errNotY4M, err)
	}
	var width, height int
	var colours, oldColours string
	for _, field := range strings.Fields(line) {
		switch key, value := field[0], field[1:]; key {
		case 'W':
			width, err = strconv.Atoi(value)
		case 'H':
			height, err = strconv.Atoi(value)
		case 'F':
			h.interval, err = parseY4MRate(value)
		case 'I':
			h.interlaced = value != "" && value != "p" && value != "?"
		case 'C':
			colours = value
		case 'X': // programs of before the C field
			if old, ok := cutPrefixFold(value, "YSCSS="); ok {
				oldColours = old
			}
		}
		if err != nil {
			return y4mHeader{}, 0, fmt.Errorf("header field %q: %w", field, err)
		}
	}
	if colours = cmp.Or(colours, oldColours, "420"); !isY4M420(colours) {
		return y4mHeader{}, 0, fmt.Errorf("header: colours %q: only 8-bit 4:2:0 is read: "+
			"convert with ffmpeg -pix_fmt yuv420p", colours)
	}
	h.layout, err = pixfmt.New(pixfmt.YU12, width, height, 0)
	if err != nil {
		return y4mHeader{}, 0, fmt.Errorf("header: %w", err)
	}
	return h, n, nil
}

func cutPrefixFold(s, prefix string) (after string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// parseY4MFrame reads the line before a picture and returns its length in bytes. The parameters
// in the line are not needed.
func parseY4MFrame(b []byte) (n int, err error) {
	_, n, err = parseY4MLine(b, "FRAME")
	return n, err
}

// parseY4MLine returns what follows the word at the start of a line, and the line's length. A line
// may end as on Windows.
func parseY4MLine(b []byte, word string) (rest string, n int, err error) {
	b = b[:min(len(b), maxY4MLine)]
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		return "", 0, fmt.Errorf("no end of line within %d bytes", len(b))
	}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(string(b[:end]), "\r"), word)
	if !ok || rest != "" && rest[0] != ' ' {
		return "", 0, fmt.Errorf("line %.20q: want %s", b[:end], word)
	}
	return rest, end + 1, nil
}

// parseY4MRate reads "30000:1001". 0 in either place means that the rate is not known.
func parseY4MRate(value string) (time.Duration, error) {
	a, b, isFraction := strings.Cut(value, ":")
	if !isFraction {
		b = "1"
	}
	if a == "" {
		return 0, nil
	}
	pictures, err := strconv.ParseUint(a, 10, 31)
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseUint(b, 10, 31)
	if err != nil {
		return 0, err
	}
	if pictures == 0 || seconds == 0 {
		return 0, nil
	}
	// 2^31 * 1e9 < 2^63: the product fits.
	interval := time.Duration(seconds) * time.Second / time.Duration(pictures)
	if interval < shortestInterval || interval > longestInterval {
		return 0, fmt.Errorf("%v between pictures: want %v to %v",
			interval, shortestInterval, longestInterval)
	}
	return interval, nil
}

// isY4M420 accepts the names of 8-bit 4:2:0 in upper and lower case. They differ only in the
// position of the chroma samples, by half a pixel.
func isY4M420(colours string) bool {
	switch strings.ToLower(colours) {
	case "420", "420jpeg", "420mpeg2", "420paldv", "420p8":
		return true
	}
	return false
}

//go:build linux

// The pictures that a decoder puts out, one raw picture after the other.

package losslab

import (
	"errors"
	"hash/crc64"
	"io"
	"time"

	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

// A Picture is one that was decoded.
type Picture struct {
	At     time.Time
	Number int    // of the clip; -1 if the stamp cannot be read
	Sum    uint64 // of its bytes
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// readPictures reads raw pictures until the end of r and hands each to use.
func readPictures(r io.Reader, now func() time.Time, use func(Picture)) error {
	b := make([]byte, pictureBytes)
	for {
		if _, err := io.ReadFull(r, b); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil // a decoder that was stopped in the middle of a picture
			}
			return err
		}
		p := Picture{At: now(), Number: -1, Sum: crc64.Checksum(b, crcTable)}
		if s, ok := stamp.Read(b[:width*height], width, 1); ok {
			p.Number = int(s.Number)
		}
		use(p)
	}
}

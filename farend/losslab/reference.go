//go:build linux

// The reference: the sent stream decoded without loss, which shows which picture was in which
// packets.

package losslab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/krazycam/krazycam/farend/webm/matroska"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// A sentPicture is a picture that the sender put on the wire.
type sentPicture struct {
	number int
	at     time.Duration // its first packet left
	bytes  int           // of VP8
	key    bool
	sum    uint64 // of the decoded picture when nothing is missing
}

// assembleFrames makes frames of the packets that left the sender. The Assembler ignores resends
// of the same number, since they are late.
func assembleFrames(sent []mediaPacket) (pictures []sentPicture, frames [][]byte) {
	first := map[uint32]time.Duration{}
	var packets []mediaPacket
	for _, m := range sent {
		if m.header.PayloadType != mediaType {
			continue
		}
		if _, ok := first[m.header.Timestamp]; !ok {
			first[m.header.Timestamp] = m.at
		}
		packets = append(packets, m)
	}
	a := rtpvp8.NewAssembler(32, func(f rtpvp8.Frame) {
		pictures = append(pictures, sentPicture{at: first[f.Timestamp], bytes: len(f.Bytes), key: f.Key})
		frames = append(frames, bytes.Clone(f.Bytes))
	})
	for _, m := range packets {
		// The Assembler counts what is no VP8; nobody needs the error.
		_ = a.Push(m.header.SequenceNumber, m.header.Timestamp, m.header.Marker, m.payload)
	}
	a.Flush()
	return pictures, frames
}

// writeFrames makes a file of the clip's size and rate; a decoder takes the size of the frames.
func writeFrames(path string, frames [][]byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w, err := matroska.Create(f, matroska.Header{App: "losslab", Width: width, Height: height})
	if err != nil {
		return errors.Join(err, f.Close())
	}
	for i, frame := range frames {
		block := append(make([]byte, matroska.BlockRoom), frame...)
		key := len(frame) > 0 && frame[0]&1 == 0 // RFC 6386 section 9.1
		if err := w.WriteFrame(block, int64(i)*1000/fps, key); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// rawPictureElements decode VP8 to pictures of the clip's form.
var rawPictureElements = []string{"vp8dec", "!", "videoconvert", "!", "videoscale", "!",
	fmt.Sprintf("video/x-raw,format=I420,width=%d,height=%d", width, height)}

// identifyPictures decodes what was sent with the receiver's own decoder and gives each picture
// its number. It is an error if a stream without loss does not decode.
func identifyPictures(dir string, sent []mediaPacket) ([]sentPicture, error) {
	pictures, frames := assembleFrames(sent)
	if len(pictures) == 0 {
		return nil, fmt.Errorf("reference: no frame in %d packets sent", len(sent))
	}
	path := filepath.Join(dir, "sent.webm")
	if err := writeFrames(path, frames); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	defer os.Remove(path)
	args := slices.Concat([]string{"-q", "filesrc", "location=" + path, "!", "matroskademux", "!"}, rawPictureElements,
		[]string{"!", "fdsink", "fd=1", "sync=false"})
	c := exec.Command("gst-launch-1.0", args...)
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	n := 0
	err = readPictures(out, time.Now, func(p Picture) {
		if n < len(pictures) {
			pictures[n].number, pictures[n].sum = p.Number, p.Sum
		}
		n++
	})
	if e := c.Wait(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	if n != len(pictures) {
		return nil, fmt.Errorf("reference: %d pictures decoded of %d frames sent", n, len(pictures))
	}
	return pictures, nil
}

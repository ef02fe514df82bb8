//go:build linux

// The clip: a film whose pictures bear their number.

package losslab

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/krazycam/krazycam/v4l2"
	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

// The size and pace of every run.
const (
	width, height   = 640, 480
	fps             = 30
	pictureBytes    = width * height * 3 / 2
	pictureInterval = time.Second / fps
)

// WriteClip writes n pictures of the y4m file from, each with its number from 0 on, to the file
// to. A film that is too short is played forth and back: a jump would be a scene cut, which
// costs an encoder more than anything that was filmed.
func WriteClip(from, to string, n int) (err error) {
	in, err := v4l2.OpenY4M(from, 0, false)
	if err != nil {
		return err
	}
	defer in.Close()
	if l := in.Layout(); l.Width != width || l.Height != height {
		return fmt.Errorf("clip %s: %v, want %dx%d", from, l, width, height)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintf(w, "YUV4MPEG2 W%d H%d F%d:1 Ip A1:1 C420jpeg\n", width, height, fps)
	picture := make([]byte, pictureBytes)
	for i := range n {
		copy(picture, in.Picture(forthAndBackIndex(i, in.Len())))
		stamp.New(uint32(i), time.Time{}).Draw(picture, width, 1)
		_, _ = io.WriteString(w, "FRAME\n") // Flush returns the error
		_, _ = w.Write(picture)
	}
	return w.Flush()
}

// forthAndBackIndex says which of length pictures is shown as the i-th.
func forthAndBackIndex(i, length int) int {
	if length == 1 {
		return 0
	}
	i %= 2 * (length - 1)
	return min(i, 2*(length-1)-i)
}

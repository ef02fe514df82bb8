// Package farend is the far end of a stream on the owner's desk: a gateway that
// grants and a receiver that takes RTP and RTCP, counts, reassembles frames,
// reports back and records. It never runs on a board.
//
// Gateway is an http.Handler and owns nothing but a file of ids. Receiver owns two
// UDP sockets and, in Run, the goroutines that read them. One stream at a time:
// the two ports are one video server. Rates are counted, not kept: whoever shows
// them takes two Stats and divides. Time on the wire is in 1/90000 s (RTP) or
// 1/65536 s (RTCP), everywhere else time.Duration.
//
// Sources: the project's gateway protocol; RFC 3550 sections 6.2, 6.4, A.1, A.3
// and A.8; RFC 4585 sections 6.2.1 (NACK) and 6.3.1 (PLI); RFC 7741.
package farend

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// ErrActive is for a second stream at a time.
var ErrActive = errors.New("another stream is active")

var errClosed = fmt.Errorf("receiver: %w", net.ErrClosed)

// replaceFile writes a file for its owner alone, whole or not at all.
func replaceFile(path string, b []byte, mode fs.FileMode) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // fails once it is renamed
	_, err = temporary.Write(b)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Chmod(temporary.Name(), mode); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

// Recording of the card's writes, for cuts of power that are played later (package writelog).
// Spec: QEMU's block driver blklogwrites, qapi/block-core.json.

package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/vm/writelog"
)

// A recorder owns the log of all starts of a machine. Its methods are called by the goroutine that plays
// the boot firmware, between two runs of QEMU.
type recorder struct {
	file *os.File
	log  *writelog.Writer
	boot string // file that QEMU writes in one run
}

func newRecorder(file, folder string) (*recorder, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("record writes: %w", err)
	}
	w, err := writelog.NewWriter(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &recorder{f, w, filepath.Join(folder, "writes")}, nil
}

// begin makes the file that QEMU's next run wants to find.
func (r *recorder) begin() error { return os.WriteFile(r.boot, nil, 0o600) }

// add takes what QEMU's run wrote.
func (r *recorder) add() error {
	f, err := os.Open(r.boot)
	if err != nil {
		return fmt.Errorf("record writes: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 { // QEMU did not come so far
		return err
	}
	l, err := writelog.Read(f, info.Size())
	if err != nil {
		return err
	}
	return r.log.Append(l)
}

func (r *recorder) close() error { return r.file.Close() }

// blockdevs are QEMU's arguments for a card whose writes go to the file of begin, too.
func (r *recorder) blockdevs(image string) (args []string) {
	for _, node := range []map[string]any{
		{"driver": "file", "node-name": "image", "filename": image},
		{"driver": "file", "node-name": "writes", "filename": r.boot},
		{"driver": "blklogwrites", "node-name": "card", "file": "image", "log": "writes", "log-sector-size": 512},
	} {
		b, _ := json.Marshal(node) // texts and numbers alone
		args = append(args, "-blockdev", string(b))
	}
	return args
}

// A recordedDisk is the image, to which this package itself writes.
type recordedDisk struct {
	card.ReadWriterAt
	recorder *recorder // nil: nothing is recorded
}

// WriteAt takes whole sectors.
func (d recordedDisk) WriteAt(b []byte, at int64) (int, error) {
	n, err := d.ReadWriterAt.WriteAt(b, at)
	if err == nil && d.recorder != nil {
		err = d.recorder.log.AppendWrite(b, at)
	}
	return n, err
}

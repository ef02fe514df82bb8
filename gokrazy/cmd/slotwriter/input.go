// What is to be written, as it came: a spool, or a root alone.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// An input is one of the two.
type input struct {
	spool    *update.Spool
	root     *os.File // unsigned
	rootSize int64
}

func openInput(spool, root string) (in input, err error) {
	if spool != "" {
		in.spool, err = update.OpenSpool(spool)
		return in, err
	}
	if in.root, err = openfile.File(root); err != nil {
		return in, fmt.Errorf("root: %w", err)
	}
	info, err := in.root.Stat()
	if err != nil {
		return in, errors.Join(fmt.Errorf("root: %w", err), in.root.Close())
	}
	in.rootSize = info.Size()
	return in, nil
}

func (in input) close() {
	if in.spool != nil {
		in.spool.Close() // it was only read
	}
	if in.root != nil {
		in.root.Close()
	}
}

// has says whether a part is there. Nothing says yet that it is right.
func (in input) has(p update.Part) bool {
	if in.spool == nil {
		return p.Name == update.RootName
	}
	return in.spool.Has(p)
}

// open opens a part that is there. What it gives can be read anywhere; the caller closes it.
func (in input) open(p update.Part) (readerAtCloser, error) {
	if in.spool == nil {
		return nopCloser{in.root}, nil
	}
	return in.spool.Open(p)
}

type readerAtCloser interface {
	io.ReaderAt
	io.Closer
}

type nopCloser struct{ io.ReaderAt }

func (nopCloser) Close() error { return nil }

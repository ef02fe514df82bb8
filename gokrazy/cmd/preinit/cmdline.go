// The kernel's command line: which root, which init.
// Sources: Linux Documentation/admin-guide/kernel-parameters.rst, init/do_mounts.c.

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

// defaultInit is gokrazy's.
const defaultInit = "/gokrazy/init"

// errBadRoot means that the command line names no root, or not in the form that camctl writes.
var errBadRoot = errors.New("want root=PARTUUID=GUID/PARTNROFF=N")

// A rootName names a partition by the GUID of another one on the same disk, and by how many
// partitions it comes after that.
type rootName struct {
	partition disk.GUID
	offset    int
}

// bootOptions are the options of the command line that preinit reads.
type bootOptions struct {
	root rootName
	init string
}

// parseCmdline takes, as the kernel does, the last root= and the last init=.
func parseCmdline(line string) (bootOptions, error) {
	w, root := bootOptions{init: defaultInit}, ""
	for _, word := range strings.Fields(line) {
		if v, ok := strings.CutPrefix(word, "root="); ok {
			root = v
		}
		if v, ok := strings.CutPrefix(word, "init="); ok && strings.HasPrefix(v, "/") {
			w.init = v
		}
	}
	var err error
	if w.root, err = parseRoot(root); err != nil {
		return bootOptions{}, fmt.Errorf("command line: root=%q: %w", root, err)
	}
	return w, nil
}

// parseRoot reads "PARTUUID=60c24cc1-…/PARTNROFF=1"; a missing offset is 0.
func parseRoot(s string) (rootName, error) {
	id, ok := strings.CutPrefix(s, "PARTUUID=")
	if !ok {
		return rootName{}, errBadRoot
	}
	id, offset, hasOffset := strings.Cut(id, "/PARTNROFF=")
	var r rootName
	var err error
	if r.partition, err = disk.ParseGUID(id); err != nil {
		return rootName{}, fmt.Errorf("%w: %w", errBadRoot, err)
	}
	if hasOffset {
		// A table has 128 entries.
		n, err := strconv.ParseUint(offset, 10, 7)
		if err != nil {
			return rootName{}, fmt.Errorf("%w: %w", errBadRoot, err)
		}
		r.offset = int(n)
	}
	return r, nil
}

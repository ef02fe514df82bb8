// The tar.xz for systems that know none of the packages: unpacked in /, or anywhere.

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/ulikunitz/xz"
)

// makeArchive writes NAME-VERSION-linux-ARCH.tar.xz: one folder of that name, in it usr and etc.
func (r release) makeArchive(p product, arch architecture, s *stage) (string, error) {
	name := fmt.Sprintf("%s-%s-linux-%s", p.name, r.version, arch.folder)
	file := filepath.Join(r.out, name+".tar.xz")
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	if err := errors.Join(r.writeArchive(f, name, s), f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", file, errors.Join(err, os.Remove(file)))
	}
	return file, nil
}

func (r release) writeArchive(w io.Writer, top string, s *stage) error {
	packed, err := xz.NewWriter(w)
	if err != nil {
		return err
	}
	t := tar.NewWriter(packed)
	folders := map[string]bool{}
	for _, e := range s.entries {
		if !e.isIn(txz) {
			continue
		}
		if err := r.writeFolders(t, path.Dir(path.Join(top, e.target)), folders); err != nil {
			return err
		}
		content, err := os.ReadFile(e.source)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: path.Join(top, e.target), Mode: int64(e.mode), Size: int64(len(content)),
			ModTime: r.time, Uname: "root", Gname: "root", Format: tar.FormatUSTAR}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), packed.Close())
}

// writeFolders writes a folder and those above it, each once.
func (r release) writeFolders(t *tar.Writer, folder string, seen map[string]bool) error {
	if folder == "." || seen[folder] {
		return nil
	}
	if err := r.writeFolders(t, path.Dir(folder), seen); err != nil {
		return err
	}
	seen[folder] = true
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755, ModTime: r.time,
		Uname: "root", Gname: "root", Format: tar.FormatUSTAR})
}

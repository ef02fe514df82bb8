// The root: what gokrazy's Boot expects of it, our programs, the kernel modules
// of a webcam. It is read-only on the board.

package image

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
)

// rootFolders are mount points, and folders that gokrazy looks into.
var rootFolders = []string{
	"bin", "dev", "etc/gokrazy", "etc/ssl", "gokrazy", "lib", "mnt", "perm", "proc", "run", "sys", "tmp", "user",
}

// rootEntries lists everything in the root. There is no gokr-pw.txt: without a
// password gokrazy's unsigned update handlers listen on a local socket only.
func rootEntries(b board.Board, m material, sbomSum string) ([]disk.Entry, error) {
	sbom, err := json.Marshal(map[string]any{"sbom_hash": sbomSum, "sbom": nil})
	if err != nil {
		return nil, err
	}
	entries := []disk.Entry{
		{Path: "var", Mode: fs.ModeSymlink | 0o777, Target: "/perm/var"},
		{Path: "etc/resolv.conf", Mode: fs.ModeSymlink | 0o777, Target: "/tmp/resolv.conf"},
	}
	for _, folder := range rootFolders {
		entries = append(entries, disk.Entry{Path: folder, Mode: fs.ModeDir | 0o755})
	}
	for _, file := range []struct {
		path string
		text []byte
	}{
		{config.ImageDefaults[1:], m.defaults},
		{"etc/hosts", []byte("127.0.0.1 localhost\n::1 localhost\n")},
		{"etc/hostname", []byte("krazycam")}, // gokrazy takes every byte of it
		{"etc/http-port.txt", []byte("80")},
		{"etc/https-port.txt", []byte("443")},
		{card.BoardFile, []byte(b.Name + "\n")},
		{"etc/gokrazy/mountdevices.json", []byte("null\n")},
		{"etc/gokrazy/sbom.json", sbom},
		{"etc/ssl/ca-bundle.pem", caBundle()},
	} {
		entries = append(entries, disk.Entry{Path: file.path, Mode: 0o444, Bytes: file.text})
	}
	return slices.Concat(entries, m.programs, m.modules), nil
}

// rootImage packs the root and refuses one of more than limit bytes: no update
// could write it.
func rootImage(b board.Board, m material, sbomSum string, limit int) ([]byte, error) {
	entries, err := rootEntries(b, m, sbomSum)
	if err != nil {
		return nil, err
	}
	root, err := disk.SquashFS(entries)
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	if len(root) > limit {
		return nil, fmt.Errorf("root of %d bytes: %w into its partition of %d", len(root), ErrUnfit, limit)
	}
	return root, nil
}

// caBundle is Mozilla's list of certificate authorities as Go ships it. Those
// that are trusted only for certificates made before some day are left out: a
// PEM file cannot say that.
func caBundle() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return out.Bytes()
}

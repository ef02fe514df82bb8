// One tar of two formats that share their blobs: an OCI image layout, which podman and newer Dockers
// read, and the manifest.json that every docker load reads.

package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// A dockerImage is an element of manifest.json. Its paths are those of the layout.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// write leaves no half an image behind.
func (o options) write(out string) error {
	img, err := o.image()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(out), ".oci-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := o.writeLayout(dir, img); err != nil {
		return fmt.Errorf("layout: %w", err)
	}
	packed := filepath.Join(dir, "packed")
	f, err := os.Create(packed)
	if err != nil {
		return err
	}
	if err := o.pack(f, filepath.Join(dir, "layout")); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(packed, out)
}

func (o options) writeLayout(dir string, img v1.Image) error {
	dir = filepath.Join(dir, "layout")
	ref := repository + ":" + tagOf(o.version)
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendImage(img,
		layout.WithPlatform(v1.Platform{OS: "linux", Architecture: o.arch}),
		layout.WithAnnotations(map[string]string{
			"org.opencontainers.image.ref.name": ref, // podman's name for it
			"io.containerd.image.name":          ref, // Docker's, with containerd's store
		})); err != nil {
		return err
	}
	config, err := img.ConfigName()
	if err != nil {
		return err
	}
	d := dockerImage{Config: blobPath(config), RepoTags: []string{ref}}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return err
		}
		d.Layers = append(d.Layers, blobPath(digest))
	}
	text, err := json.Marshal([]dockerImage{d})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "manifest.json"), append(text, '\n'), 0o644)
}

func blobPath(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// pack writes the folder as a tar, in the order of its names.
func (o options) pack(w io.Writer, dir string) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); d.IsDir() {
			return t.WriteHeader(o.header(name+"/", tar.TypeDir, 0o755, 0, 0))
		}
		return o.addFile(t, path, name, 0o644)
	})
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return t.Close()
}

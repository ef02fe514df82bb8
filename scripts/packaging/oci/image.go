// The container image: one layer of files, and how it is started.

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// repository is a name that no registry answers to, so that nobody's image is taken for ours.
	repository = "localhost/krazycam/camserver"

	user       = 65532 // "nonroot" of distroless images: belongs to nobody on the host
	program    = "usr/bin/camserver"
	stateDir   = "state" // a volume: database, certificate, recordings
	licenceDir = "usr/share/doc/krazycam"
)

// image makes the container image.
func (o options) image() (v1.Image, error) {
	files, err := o.layer()
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: o.created}, CreatedBy: "krazycam " + o.version},
	})
	if err != nil {
		return nil, fmt.Errorf("append layer: %w", err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Created = "linux", o.arch, v1.Time{Time: o.created}
	cfg.Config = o.config()
	return mutate.ConfigFile(img, cfg)
}

// config says how the image is started. Arguments of podman run are further flags of camserver.
func (o options) config() v1.Config {
	return v1.Config{
		User:         fmt.Sprintf("%d:%d", user, user),
		Entrypoint:   []string{"/" + program, "--state", "/" + stateDir},
		Env:          []string{"HOME=/" + stateDir, "PATH=/usr/bin"},
		WorkingDir:   "/" + stateDir,
		Volumes:      map[string]struct{}{"/" + stateDir: {}},
		ExposedPorts: map[string]struct{}{"8443/tcp": {}, "5004/udp": {}, "5005/udp": {}},
		StopSignal:   "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "camserver",
			"org.opencontainers.image.description": "gateway and receiver of krazycam for many cameras",
			"org.opencontainers.image.version":     o.version,
			"org.opencontainers.image.source":      "https://github.com/krazycam/krazycam",
			"org.opencontainers.image.licenses":    "BSD-3-Clause",
		},
	}
}

// layer is the tar of all files.
func (o options) layer() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	dir := func(name string, owner int) error {
		return w.WriteHeader(o.header(name+"/", tar.TypeDir, 0o755, 0, owner))
	}
	for _, name := range []string{"usr", "usr/bin", "usr/share", "usr/share/doc", licenceDir} {
		if err := dir(name, 0); err != nil {
			return nil, err
		}
	}
	if err := dir(stateDir, user); err != nil {
		return nil, err
	}
	if err := o.addFile(w, o.camserver, program, 0o755); err != nil {
		return nil, err
	}
	for _, path := range o.docs {
		if err := o.addFile(w, path, licenceDir+"/"+filepath.Base(path), 0o644); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (o options) header(name string, kind byte, mode, size int64, owner int) *tar.Header {
	return &tar.Header{
		Typeflag: kind, Name: name, Mode: mode, Size: size, Uid: owner, Gid: owner,
		ModTime: o.created, Format: tar.FormatUSTAR,
	}
}

func (o options) addFile(w *tar.Writer, path, name string, mode int64) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(o.header(name, tar.TypeReg, mode, int64(len(b)), 0)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = w.Write(b)
	return err
}

// Collects the files of a package in a folder: what is there is copied, documents are joined and packed.

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// An entry is one file of a package.
type entry struct {
	source string // where its bytes are now
	target string // where they will be
	mode   fs.FileMode
	group  string
	config bool
	only   []kind // nil for all
}

// isIn says whether a kind of package has the file.
func (e entry) isIn(k kind) bool { return e.only == nil || slices.Contains(e.only, k) }

// A stage is a folder that is filled with a package's files. The first error stays.
type stage struct {
	dir     string
	entries []entry
}

// add writes bytes into the stage as one more file.
func (s *stage) add(e entry, content []byte) error {
	e.source = filepath.Join(s.dir, fmt.Sprintf("%03d", len(s.entries)))
	if e.mode == 0 {
		e.mode = 0o644
	}
	if err := os.WriteFile(e.source, content, 0o644); err != nil {
		return err
	}
	s.entries = append(s.entries, e)
	return nil
}

// stageProduct collects everything of a product for one architecture.
func (r release) stageProduct(p product, arch architecture, dir string) (*stage, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s := &stage{dir: dir}
	program := filepath.Join(r.programs, arch.folder, p.name)
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("%w: scripts/build --pc %s makes it", err, arch.folder)
	}
	if err := s.add(entry{target: "/usr/bin/" + p.name, mode: 0o755}, content); err != nil {
		return nil, err
	}
	for _, f := range p.files {
		content, err := files.ReadFile("files/" + f.source)
		if err != nil {
			return nil, err
		}
		e := entry{target: f.target, mode: fs.FileMode(f.mode), group: f.group, config: f.config, only: f.only}
		if err := s.add(e, content); err != nil {
			return nil, err
		}
	}
	for _, stage := range []func() error{
		func() error { return r.stageManual(s, p) },
		func() error { return r.stageCompletion(s, p.name) },
		func() error { return r.stageDocuments(s, p, program) },
	} {
		if err := stage(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(s.entries, func(a, b entry) int { return strings.Compare(a.target, b.target) })
	return s, nil
}

// stageManual adds the man pages. The first pattern must match: a program without a page is not finished.
func (r release) stageManual(s *stage, p product) error {
	for i, pattern := range p.man {
		section := "man" + strings.TrimPrefix(filepath.Ext(pattern), ".")
		pages, err := filepath.Glob(filepath.Join(r.share, "man", section, pattern))
		if err != nil {
			return err
		}
		if len(pages) == 0 && i == 0 {
			return fmt.Errorf("%s: no %s: scripts/manual makes it", r.share, pattern)
		}
		for _, page := range pages {
			content, err := os.ReadFile(page)
			if err != nil {
				return err
			}
			packed, err := pack(content)
			if err != nil {
				return err
			}
			target := path.Join("/usr/share/man", section, filepath.Base(page)+".gz")
			if err := s.add(entry{target: target}, packed); err != nil {
				return err
			}
		}
	}
	return nil
}

// stageCompletion adds the files by which a shell completes a program's command line.
func (r release) stageCompletion(s *stage, name string) error {
	for _, shell := range []struct {
		source, target string
		only           []kind
	}{
		{"bash/" + name, "/usr/share/bash-completion/completions/" + name, nil},
		{"zsh/_" + name, "/usr/share/zsh/vendor-completions/_" + name, []kind{deb}},
		{"zsh/_" + name, "/usr/share/zsh/site-functions/_" + name, []kind{rpm, apk, txz}},
		{"fish/" + name + ".fish", "/usr/share/fish/vendor_completions.d/" + name + ".fish", nil},
	} {
		content, err := os.ReadFile(filepath.Join(r.share, "completion", filepath.FromSlash(shell.source)))
		if err != nil {
			return fmt.Errorf("%w: scripts/manual makes it", err)
		}
		if err := s.add(entry{target: shell.target, only: shell.only}, content); err != nil {
			return err
		}
	}
	return nil
}

// stageDocuments adds licences and changes.
func (r release) stageDocuments(s *stage, p product, program string) error {
	modules, err := linkedModules(program)
	if err != nil {
		return err
	}
	copyright, err := r.copyright(p, modules)
	if err != nil {
		return err
	}
	doc := "/usr/share/doc/" + p.name
	if err := s.add(entry{target: doc + "/copyright"}, copyright); err != nil {
		return err
	}
	notices, err := r.notices(p, modules)
	if err != nil {
		return err
	}
	changes, err := os.ReadFile(filepath.Join(r.top, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	for _, text := range []struct {
		name    string
		content []byte
	}{{"notices.gz", notices}, {"changelog.gz", changes}} {
		packed, err := pack(text.content)
		if err != nil {
			return err
		}
		if err := s.add(entry{target: doc + "/" + text.name}, packed); err != nil {
			return err
		}
	}
	return nil
}

// pack is gzip -9n: without a name and a time.
func pack(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

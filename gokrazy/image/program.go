// What a program says about itself: architecture, linkage, and the Go build
// information inside it. Used when an image is made and when one is read back.

package image

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// A Program is one executable file of the root.
type Program struct {
	Path    string   `json:"path"` // below the root
	Size    int64    `json:"size"` // bytes
	SHA256  string   `json:"sha256"`
	Machine string   `json:"machine"` // EM_AARCH64
	Static  bool     `json:"static"`  // no loader, no shared library
	Needs   []string `json:"needs,omitempty"`
	Go      string   `json:"go"`      // version of the compiler
	Package string   `json:"package"` // import path of main
	Version string   `json:"version"` // commit, or version of its module
	Cgo     bool     `json:"cgo"`
	Tags    []string `json:"tags,omitempty"`

	committed time.Time       // of the commit; zero if it was built outside of a repository
	modified  bool            // since the commit
	modules   []*debug.Module // main module first; replaced ones as what replaced them
}

// errNotAProgram is about a file that is no Go program for Linux.
var errNotAProgram = errors.New("not a Go program for Linux")

// ReadProgram looks into an ELF file that lies at path in a root. The standard library does not promise that
// debug/elf survives a hostile file, and images of strangers are looked at: what
// it throws becomes an error here.
func ReadProgram(path string, b []byte) (p Program, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("%s: %w: %v", path, errNotAProgram, thrown)
		}
	}()
	sum := sha256.Sum256(b)
	p = Program{Path: path, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
	b = plainSections(b)
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return p, fmt.Errorf("%s: %w: %w", path, errNotAProgram, err)
	}
	p.Machine = f.Machine.String()
	p.Static, p.Needs = linkage(f)
	info, err := buildinfo.Read(bytes.NewReader(b))
	if err != nil {
		return p, fmt.Errorf("%s: %w: %w", path, errNotAProgram, err)
	}
	p.Go, p.Package, p.Version = info.GoVersion, info.Path, info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "CGO_ENABLED":
			p.Cgo = s.Value == "1"
		case "-tags":
			p.Tags = strings.Split(s.Value, ",")
		case "vcs.revision":
			p.Version = s.Value
		case "vcs.time":
			p.committed, _ = time.Parse(time.RFC3339, s.Value) // zero if it is none
		case "vcs.modified":
			p.modified = s.Value == "true"
		}
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Replace != nil {
			m = m.Replace
		}
		p.modules = append(p.modules, m)
	}
	return p, nil
}

// plainSections gives b without the mark "compressed" in its section headers:
// debug/elf unpacks what bears it, the section names first, to whatever size that
// has, and 260 KB became 2.6 GB. What we look at is packed in no program that runs.
func plainSections(b []byte) []byte {
	if len(b) < binary.Size(elf.Header64{}) {
		return b
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(b[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	wide := elf.Class(b[elf.EI_CLASS]) == elf.ELFCLASS64
	at, size, count := uint64(order.Uint32(b[32:])), uint64(order.Uint16(b[46:])), order.Uint16(b[48:])
	if wide {
		at, size, count = order.Uint64(b[40:]), uint64(order.Uint16(b[58:])), order.Uint16(b[60:])
	}
	if size < uint64(binary.Size(elf.Section32{})) {
		return b // debug/elf refuses it
	}
	out, end := bytes.Clone(b), uint64(len(b))
	// A count of 0 means that it stands elsewhere: then all up to the end.
	for i := 0; at < end && end-at >= size && (i < int(count) || count == 0); i++ {
		if flags := out[at+8:]; wide {
			order.PutUint64(flags, order.Uint64(flags)&^uint64(elf.SHF_COMPRESSED))
		} else {
			order.PutUint32(flags, order.Uint32(flags)&^uint32(elf.SHF_COMPRESSED))
		}
		at += size
	}
	return out
}

// linkage reports whether the kernel alone can start the program: a static PIE has
// a dynamic section, but neither an interpreter nor a library that it needs.
func linkage(f *elf.File) (static bool, needs []string) {
	static = true
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			static = false
		}
	}
	needs, err := f.ImportedLibraries()
	if err != nil || len(needs) > 0 {
		static = false
	}
	return static, needs
}

// Where the kernel, its modules and the boot firmware of an image come from: the file
// card.SourcesName.

package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// provenance is the file for an image of these parts.
func provenance(b board.Board, p Parts, m material) ([]byte, error) {
	kernel, firmware := p.Kernel.listPart(b.Kernel, m.release), p.Firmware.listPart(b.BootFirmware, m.release)
	addFile(&kernel, bootPath(board.KernelName), m.kernel)
	for _, e := range m.boot {
		part := &kernel
		if e.firmware {
			part = &firmware
		}
		addFile(part, bootPath(e.Path), e.Bytes)
	}
	for _, r := range m.raw {
		addFile(&firmware, card.SectorPath(r.sector, r.name), r.bytes)
	}
	for _, e := range m.modules {
		addFile(&kernel, card.InRoot+":"+e.Path, e.Bytes)
	}
	if m.initrd != nil {
		addFile(&kernel, bootPath(card.InitrdName), m.initrd.bytes)
		for _, e := range m.initrd.modules {
			addFile(&kernel, card.InInitrd+":"+e.Path, e.Bytes)
		}
	}
	all := card.Provenance{Board: b.Name, Release: m.release, Parts: []card.Part{kernel, firmware}}
	list, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return nil, fmt.Errorf("list of sources: %w", err)
	}
	return append(list, '\n'), nil
}

// listPart begins the list of what comes out of a package. It fills in what the board's own
// text about the source leaves open.
func (p Package) listPart(o board.Origin, release string) card.Part {
	source := strings.NewReplacer("VERSION", p.Version, "RELEASE", release).Replace(o.Source)
	return card.Part{Name: p.Name, Version: p.Version, SHA256: p.SHA256, Sum: p.Sum, Source: source}
}

func bootPath(name string) string { return card.InBoot + ":" + name }

func addFile(p *card.Part, path string, b []byte) {
	sum := sha256.Sum256(b)
	p.Files = append(p.Files, card.File{Path: path, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])})
}

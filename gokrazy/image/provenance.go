// Where the kernel, its modules and the boot firmware of an image come from: the files
// card.SourcesName, one in each slot and one beside them.

package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/uboot"
)

// slotProvenance is the file in a slot's folder. It is the same for both slots.
func slotProvenance(b board.Board, p Parts, m material) ([]byte, error) {
	kernel := p.Kernel.listPart(b.Kernel, m.release)
	addFile(&kernel, slotPath(board.KernelName), m.kernel)
	for _, e := range m.slot {
		addFile(&kernel, slotPath(e.Path), e.Bytes)
	}
	for _, e := range m.modules {
		addFile(&kernel, card.InRoot+":"+e.Path, e.Bytes)
	}
	if m.initrd != nil {
		addFile(&kernel, slotPath(card.InitrdName), m.initrd.bytes)
		for _, e := range m.initrd.modules {
			addFile(&kernel, card.InInitrd+":"+e.Path, e.Bytes)
		}
	}
	return encodeProvenance(b, m, kernel)
}

// topProvenance is the file beside the slots: about what is on the card once.
func topProvenance(b board.Board, p Parts, m material) ([]byte, error) {
	firmware := p.Firmware.listPart(b.BootFirmware, m.release)
	for _, e := range m.firmware {
		addFile(&firmware, bootPath(e.Path), e.Bytes)
	}
	for _, r := range m.raw {
		addFile(&firmware, card.SectorPath(r.sector, r.name), r.bytes)
		if r.uBoot {
			firmware.Files[len(firmware.Files)-1].Changed = uboot.UnattendedChanges
		}
	}
	parts := []card.Part{firmware}
	if len(m.uBoot) > 0 {
		uBoot := p.UBoot.listPart(b.UBoot, m.release)
		for _, e := range m.uBoot {
			addFile(&uBoot, bootPath(e.Path), e.Bytes)
			uBoot.Files[len(uBoot.Files)-1].Changed = uboot.UnattendedChanges
		}
		parts = append(parts, uBoot)
	}
	if len(m.trees) > 0 {
		kernel := p.Kernel.listPart(b.Kernel, m.release)
		for _, e := range m.trees {
			addFile(&kernel, bootPath(e.Path), e.Bytes)
		}
		parts = append(parts, kernel)
	}
	return encodeProvenance(b, m, parts...)
}

func encodeProvenance(b board.Board, m material, parts ...card.Part) ([]byte, error) {
	list, err := json.MarshalIndent(card.Provenance{Board: b.Name, Release: m.release, Parts: parts}, "", " ")
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

func slotPath(name string) string { return card.InSlot + ":" + name }

func bootPath(name string) string { return card.InBoot + ":" + name }

func addFile(p *card.Part, path string, b []byte) {
	sum := sha256.Sum256(b)
	p.Files = append(p.Files, card.File{Path: path, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])})
}

// The software bill of materials beside the image, in CycloneDX: every Go module
// in every program, the C libraries, kernel and boot firmware, each with the file of
// its licence on the boot partition. It has no serial number and no time: one commit,
// one list.

package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/krazycam/krazycam/board"
)

// billOfMaterials makes the list for an image.
func billOfMaterials(b board.Board, p Parts, m material) ([]byte, error) {
	var all []cdx.Component
	for _, linked := range linkedModules(m.about) {
		c := library(linked.path, linked.version, "pkg:golang/"+linked.path+"@"+linked.version,
			moduleLicence(linked.path))
		c.Hashes = moduleHash(linked.sum)
		all = append(all, c)
	}
	for _, pkg := range p.packages() {
		if pkg.SHA256 == "" { // a Debian package stands in scripts/pins
			c := library(pkg.Name, pkg.Version, "pkg:golang/"+pkg.Name+"@"+pkg.Version, partLicence(pkg.Name))
			c.Hashes = moduleHash(pkg.Sum)
			all = append(all, c)
		}
	}
	kernel := library("linux", m.release, "pkg:generic/linux@"+m.release, partLicence(p.Kernel.Name))
	kernel.Type = cdx.ComponentTypeOS
	all = append(all, kernel)
	all = append(all, pinned(b, p.Pins)...)
	for _, program := range m.about {
		all = append(all, cdx.Component{
			BOMRef: "/" + program.Path, Type: cdx.ComponentTypeApplication, Name: program.Package,
			Version: program.Version,
			Hashes:  &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: program.SHA256}},
		})
	}
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: "image", Type: cdx.ComponentTypeFirmware, Name: "krazycam-" + b.Name, Description: b.About,
	}}
	bom.Components = &all
	bom.Dependencies = dependencies(m.about)
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, fmt.Errorf("bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// library is a component whose licence text is a file on the boot partition.
func library(name, version, purl, licence string) cdx.Component {
	return cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: purl,
		Licenses: &cdx.Licenses{{License: &cdx.License{Name: licence}}},
	}
}

// moduleHash turns the sum of go.sum into what CycloneDX knows, as cyclonedx-gomod does: it
// is a SHA-256, of the list of the module's files and their SHA-256
// (golang.org/x/mod/sumdb/dirhash).
func moduleHash(sum string) *[]cdx.Hash {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
	if err != nil || len(b) != sha256.Size {
		return nil
	}
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(b)}}
}

// dependencies says which program links which modules.
func dependencies(programs []Program) *[]cdx.Dependency {
	var all []cdx.Dependency
	for _, program := range programs {
		var refs []string
		for _, linked := range linkedModules([]Program{program}) {
			refs = append(refs, "pkg:golang/"+linked.path+"@"+linked.version)
		}
		all = append(all, cdx.Dependency{Ref: "/" + program.Path, Dependencies: &refs})
	}
	return &all
}

// pinned reads scripts/pins: lines of package, architecture or "source", version
// and checksum. Sources and the board's own architecture are in the image.
func pinned(b board.Board, pins []byte) []cdx.Component {
	var all []cdx.Component
	for line := range strings.Lines(string(pins)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") || f[1] != "source" && f[1] != b.Debian {
			continue
		}
		c := library(f[0], f[2], fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s", f[0], f[2], f[1]), partLicence(f[0]))
		c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: f[3]}}
		all = append(all, c)
	}
	return all
}

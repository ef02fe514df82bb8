// SourcesName in each slot and beside the slots: from which packages kernel, modules and boot
// firmware come, and where their source is. It goes wherever the image or a slot goes, as the
// GPL asks of whoever hands binaries on.

package card

import "fmt"

// A Provenance is the content of that file, as JSON.
type Provenance struct {
	Board   string `json:"board"`
	Release string `json:"release"` // of the kernel
	Parts   []Part `json:"parts"`
}

// A Part is what came out of one package.
type Part struct {
	Name    string `json:"name"`             // Debian package or Go module
	Version string `json:"version"`          // of it
	SHA256  string `json:"sha256,omitempty"` // of the Debian package
	Sum     string `json:"sum,omitempty"`    // of the Go module, as go.sum has it
	Source  string `json:"source"`           // where the corresponding source is
	Slot    string `json:"slot,omitempty"`   // a or b: not on the card, a reader's addition; "" beside the slots
	Files   []File `json:"files"`
}

// A File is one file of a part.
type File struct {
	Path    string    `json:"path"` // one of the Ins, a colon, a name: slot:vmlinuz
	Size    int64     `json:"size"`
	SHA256  string    `json:"sha256"`            // as it lies on the card
	Changed string    `json:"changed,omitempty"` // what is different from the package's file
	State   FileState `json:"state,omitempty"`   // not on the card: what a reader found out
}

// Where a File lies.
const (
	InSlot    = "slot"   // folder of the slot that the list lies in
	InBoot    = "boot"   // boot partition
	InSectors = "sector" // outside any partition; see SectorPath
	InRoot    = "root"   // root of the slot
	InInitrd  = "initrd" // the initramfs, itself a file of the slot
)

// SectorPath is the Path of a loader that lies outside any partition.
func SectorPath(sector int64, name string) string {
	return fmt.Sprintf("%s:%d/%s", InSectors, sector, name)
}

// A FileState compares a file in the image with what the list says of it.
type FileState string

// The states.
const (
	FileSame    FileState = "same"
	FileDiffers FileState = "differs"
	FileMissing FileState = "missing"
	FileInside  FileState = "inside" // in the initramfs, which was compared as a whole
)

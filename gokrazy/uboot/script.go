// A boot script as U-Boot wants it: a text behind the 64 bytes of a legacy image
// header, as `mkimage -A arm -T script -C none` writes it.
// Spec: U-Boot's include/image.h (struct legacy_img_hdr); test: mkimage, dumpimage.

package uboot

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	imageMagic  = 0x27051956
	imageHeader = 64

	imageLinux  = 5 // IH_OS_LINUX
	imageARM    = 2 // IH_ARCH_ARM
	imageScript = 6 // IH_TYPE_SCRIPT
)

// Script wraps the text of a script. The result has no time and no name: one text, one file.
func Script(text string) []byte {
	be := binary.BigEndian
	// A script is an image of several files: their sizes, a zero, the files.
	data := be.AppendUint32(nil, uint32(len(text)))
	data = be.AppendUint32(data, 0)
	data = append(data, text...)

	h := make([]byte, imageHeader)
	be.PutUint32(h[0:], imageMagic)
	be.PutUint32(h[12:], uint32(len(data))) // behind time (8); load address and entry (16, 20) stay 0
	be.PutUint32(h[24:], crc32.ChecksumIEEE(data))
	copy(h[28:], []byte{imageLinux, imageARM, imageScript, 0}) // 0: not compressed
	be.PutUint32(h[4:], crc32.ChecksumIEEE(h))                 // of the header with this field 0
	return append(h, data...)
}

// IsScript checks both sums of a boot script, as U-Boot does.
func IsScript(b []byte) bool {
	if len(b) < imageHeader || binary.BigEndian.Uint32(b) != imageMagic {
		return false
	}
	head := bytes.Clone(b[:imageHeader])
	clear(head[4:8])
	return crc32.ChecksumIEEE(head) == binary.BigEndian.Uint32(b[4:]) &&
		crc32.ChecksumIEEE(b[imageHeader:]) == binary.BigEndian.Uint32(b[24:])
}

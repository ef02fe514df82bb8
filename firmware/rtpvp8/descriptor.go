// The VP8 payload descriptor: the bytes before the VP8 data in every packet.
// Spec: RFC 7741 section 4.2.

package rtpvp8

import "fmt"

// Bits of the descriptor's first byte, of its extension byte and of the first
// byte of a PictureID.
const (
	bitX = 0x80 // extension byte follows
	bitN = 0x20 // no other frame refers to this one
	bitS = 0x10 // first byte of a VP8 partition
	pidM = 0x07 // partition index

	bitI = 0x80 // PictureID
	bitL = 0x40 // TL0PICIDX
	bitT = 0x20 // TID
	bitK = 0x10 // KEYIDX

	bitM = 0x80 // PictureID has 15 bits, not 7
)

const (
	idMask15 = 1<<15 - 1
	idMask7  = 1<<7 - 1
)

// descriptorSize is what the Packetizer writes before each part: first byte,
// extension byte, PictureID of 15 bits.
const descriptorSize = 1 + 1 + 2

// A descriptor is what the Assembler uses of a payload descriptor.
type descriptor struct {
	start     bool
	partition uint8
	pictureID int // NoPictureID: absent
	idMask    int // largest PictureID of this form
	size      int // bytes in front of the VP8 data
}

// putDescriptor writes descriptorSize bytes. N stays 0: whether other frames refer
// to this one stands in the compressed part of the frame, and a stream with one
// layer has no other kind. S is set and PID is 0 on the first packet of a frame;
// later ones keep PID 0, which section 4.2 allows a sender that cuts without regard to
// partitions.
func putDescriptor(dst []byte, start bool, pictureID uint16) {
	_ = dst[descriptorSize-1]
	dst[0] = bitX
	if start {
		dst[0] |= bitS
	}
	dst[1] = bitI
	dst[2] = bitM | byte(pictureID>>8)
	dst[3] = byte(pictureID)
}

// parseDescriptor reads any form that section 4.2 knows. Reserved bits are ignored,
// as it demands.
func parseDescriptor(p []byte) (descriptor, error) {
	d := descriptor{pictureID: NoPictureID, size: 1}
	short := func() (descriptor, error) {
		return d, fmt.Errorf("rtpvp8: payload of %d bytes ends in its descriptor: %w", len(p), ErrMalformed)
	}
	if len(p) < 1 {
		return short()
	}
	d.start, d.partition = p[0]&bitS != 0, p[0]&pidM
	if p[0]&bitX == 0 {
		return d, nil
	}
	if len(p) < 2 {
		return short()
	}
	extension := p[1]
	d.size = 2
	if extension&bitI != 0 {
		if len(p) < 3 {
			return short()
		}
		d.pictureID, d.idMask, d.size = int(p[2]), idMask7, 3
		if p[2]&bitM != 0 {
			if len(p) < 4 {
				return short()
			}
			d.pictureID, d.idMask, d.size = int(p[2]&^bitM)<<8|int(p[3]), idMask15, 4
		}
	}
	if extension&bitL != 0 {
		d.size++
	}
	if extension&(bitT|bitK) != 0 { // both share one byte
		d.size++
	}
	if len(p) < d.size {
		return short()
	}
	return d, nil
}

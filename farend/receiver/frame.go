// Whether a decoder can read a whole VP8 frame, judged by its structure: the checks after which
// libvpx refuses a frame. What the partitions hold is not decoded: VP8 has no check sum, so
// libvpx shows whatever they say, and camctl links no decoder.
// Spec: RFC 6386 sections 9.1, 9.3 to 9.6 and 19.2.

package receiver

import (
	"errors"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

var errBrokenFrame = errors.New("a VP8 frame whose partitions do not fit into it")

const (
	frameTagSize       = 3
	keyFrameHeaderSize = frameTagSize + 7 // start code, width, height
	partitionSizeBytes = 3
)

// A frameInfo is what the header of a frame says.
type frameInfo struct {
	shown     bool // to be shown, and not a reference only
	quantizer int  // y_ac_qi, 0 to 127
}

// checkFrame says what a frame is, and whether a decoder can read it.
func checkFrame(frame []byte) (info frameInfo, err error) {
	h, err := rtpvp8.ParseHeader(frame)
	if err != nil {
		return info, err
	}
	tag := int(frame[0]) | int(frame[1])<<8 | int(frame[2])<<16
	info.shown = tag>>4&1 == 1
	rest := frame[frameTagSize:]
	if h.Key {
		rest = frame[keyFrameHeaderSize:]
	}
	first := tag >> 5
	switch {
	case first > len(rest):
		return info, errBrokenFrame
	case first == 0: // nothing says how many partitions follow; libvpx takes it
		return info, nil
	}
	partitions, quantizer := readFrameHeader(rest[:first], h.Key)
	info.quantizer, rest = quantizer, rest[first:]
	sizes := (partitions - 1) * partitionSizeBytes
	if sizes > len(rest) {
		return info, errBrokenFrame
	}
	left := len(rest) - sizes // of which the last partition takes what the others leave
	for s := rest[:sizes]; len(s) > 0; s = s[partitionSizeBytes:] {
		left -= int(s[0]) | int(s[1])<<8 | int(s[2])<<16
	}
	if left < 0 {
		return info, errBrokenFrame
	}
	return info, nil
}

// readFrameHeader reads the frame header up to y_ac_qi.
func readFrameHeader(first []byte, key bool) (partitions, quantizer int) {
	b := newBoolReader(first)
	if key {
		b.skip(2) // color_space, clamping_type
	}
	if b.bit() { // segmentation_enabled
		updateMap, updateData := b.bit(), b.bit()
		if updateData {
			b.skip(1)            // segment_feature_mode
			b.skipOptional(4, 8) // quantizers and their signs
			b.skipOptional(4, 7) // loop filter levels and their signs
		}
		if updateMap {
			b.skipOptional(3, 8)
		}
	}
	b.skip(1 + 6 + 3) // filter_type, loop_filter_level, sharpness_level
	deltas := b.bit() // mode_ref_lf_delta_enabled
	if update := deltas && b.bit(); update {
		b.skipOptional(8, 7)
	}
	const quantizerBits = 7
	return 1 << b.literal(2), b.literal(quantizerBits)
}

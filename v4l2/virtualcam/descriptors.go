// The descriptors of the virtual webcam. Sources: USB 2.0 section 9.6, UVC 1.1 section 3, UVC
// payload specifications "Uncompressed" and "MJPEG".

package virtualcam

import (
	"encoding/binary"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

const (
	videoEndpoint = 0x81 // endpoint 1, IN
	// Bytes of a bulk packet (USB 2.0 section 5.8.3).
	packetSize     = 512 // at high speed
	fullPacketSize = 64  // at full speed

	// widePacketSize is the maximum of bytes of a microframe: 3 transactions of 1024 (USB 2.0
	// section 5.6.3); narrowPacketSize is that of one transaction.
	widePacketSize   = 3 * 1024
	narrowPacketSize = 1024

	controlInterface   = 0
	cameraTerminal     = 1 // an entity of the control interface
	streamingInterface = 1

	// Format indexes of the descriptors and of the probe control.
	formatYUYV = 1
	formatMJPG = 2
)

// frameIntervals between pictures in 100 ns: 30, 15 and 10 pictures a second.
var frameIntervals = [...]uint32{333_333, 666_666, 1_000_000}

// maxYUYVPixels is the maximum of pixels of an uncompressed picture. 1280x720 would be
// 1280 x 720 x 2 bytes x 30 = 55 MB/s; a bulk endpoint carries 13 x 512 x 8000 = 53 MB/s.
const maxYUYVPixels = 640 * 480

// deviceDescriptor: USB 2.0, class "miscellaneous, interface association", vendor
// 1d6b (Linux Foundation) product 0102 (webcam gadget), one configuration.
var deviceDescriptor = []byte{18, 1, 0x00, 0x02, 0xef, 2, 1, 64, 0x6b, 0x1d, 0x02, 0x01, 1, 0, 1, 2, 3, 1}

// sizesFor returns the sizes that are offered in a format, in the order of their frame indexes.
func sizesFor(f pixfmt.FourCC, all []Size) []Size {
	if f != pixfmt.YUYV {
		return all
	}
	var out []Size
	for _, s := range all {
		if s.Width*s.Height <= maxYUYVPixels {
			out = append(out, s)
		}
	}
	return out
}

// configurationDescriptor has interface 0 for control (camera terminal to USB) and interface 1
// for the stream through one endpoint, with bulk packets of the given size. YUYV is left out if no size fits.
func configurationDescriptor(sizes []Size, isochronous bool, bulk int) []byte {
	formats := concat(uncompressedFormat(sizesFor(pixfmt.YUYV, sizes)), mjpegFormat(sizes))
	count := byte(2)
	if len(sizesFor(pixfmt.YUYV, sizes)) == 0 {
		count = 1
	}
	header := concat([]byte{13 + count, 0x24, 1, count}, le16(13+int(count)+len(formats)),
		[]byte{videoEndpoint, 0, 2 /* output terminal */, 0, 0, 0, 1}, make([]byte, count))
	body := concat(
		[]byte{8, 11, controlInterface, 2, 14, 3, 0, 0}, // association: video, collection
		controlDescriptors(),
	)
	if isochronous {
		// Alternate setting 0 takes no bandwidth, 1 and 2 take 1024 and 3072 bytes a microframe.
		const threeTransactions = 1024 | 2<<11
		body = concat(body, streamingSetting(0, 0), header, formats,
			streamingSetting(1, 1), []byte{7, 5, videoEndpoint, 5}, le16(narrowPacketSize), []byte{1},
			streamingSetting(2, 1), []byte{7, 5, videoEndpoint, 5}, le16(threeTransactions), []byte{1})
	} else {
		body = concat(body, streamingSetting(0, 1), header, formats, []byte{7, 5, videoEndpoint, 2},
			le16(bulk), []byte{0})
	}
	return concat([]byte{9, 2}, le16(9+len(body)), []byte{2, 1, 0, 0x80, 250}, body)
}

// streamingSetting is an alternate setting of the streaming interface.
func streamingSetting(number, endpoints byte) []byte {
	return []byte{9, 4, streamingInterface, number, endpoints, 14, 2, 0, 0}
}

func controlDescriptors() []byte {
	camera := []byte{17, 0x24, 2, cameraTerminal, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 2,
		0x04 /* exposure priority */, 0}
	output := []byte{9, 0x24, 3, 2, 0x01, 0x01, 0, 1, 0}
	const headerSize = 13
	return concat([]byte{9, 4, controlInterface, 0, 0, 14, 1, 0, 0},
		[]byte{headerSize, 0x24, 1, 0x00, 0x01}, le16(headerSize+len(camera)+len(output)),
		le32(clockRateHz), []byte{1, streamingInterface}, camera, output)
}

func uncompressedFormat(sizes []Size) []byte {
	if len(sizes) == 0 {
		return nil
	}
	guid := []byte{'Y', 'U', 'Y', '2', 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71}
	b := concat([]byte{27, 0x24, 4, formatYUYV, byte(len(sizes))}, guid, []byte{16, 1, 0, 0, 0, 0})
	return concat(b, frames(5, sizes), colorMatching())
}

func mjpegFormat(sizes []Size) []byte {
	b := []byte{11, 0x24, 6, formatMJPG, byte(len(sizes)), 0, 1, 0, 0, 0, 0}
	return concat(b, frames(7, sizes), colorMatching())
}

// colorMatching has BT.709 primaries and transfer and the SMPTE 170M matrix, as most webcams.
func colorMatching() []byte { return []byte{6, 0x24, 13, 1, 1, 4} }

// frames are the frame descriptors of one format; subtype 5 is uncompressed, 7 MJPEG.
func frames(subtype byte, sizes []Size) []byte {
	var out []byte
	for i, s := range sizes {
		n, bits := bufferSize(s), bufferSize(s)*8
		out = concat(out, []byte{byte(26 + 4*len(frameIntervals)), 0x24, subtype, byte(i + 1), 0},
			le16(s.Width), le16(s.Height), le32(bits*10), le32(bits*30), le32(n),
			le32(int(frameIntervals[0])), []byte{byte(len(frameIntervals))})
		for _, v := range frameIntervals {
			out = concat(out, le32(int(v)))
		}
	}
	return out
}

// bufferSize is the maximum of bytes of a picture in any format: that of YUYV.
func bufferSize(s Size) int { return s.Width * s.Height * 2 }

func le16(v int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(v)) }
func le32(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

func concat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

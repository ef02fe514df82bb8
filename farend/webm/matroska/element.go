// EBML elements as bytes: an ID, a size, data (RFC 8794).

package matroska

import (
	"encoding/binary"
	"math"
)

// IDs, with their length marker.
const (
	idEBML               = 0x1A45DFA3
	idEBMLVersion        = 0x4286
	idEBMLReadVersion    = 0x42F7
	idEBMLMaxIDLength    = 0x42F2
	idEBMLMaxSizeLength  = 0x42F3
	idDocType            = 0x4282
	idDocTypeVersion     = 0x4287
	idDocTypeReadVersion = 0x4285
	idVoid               = 0xEC

	idSegment      = 0x18538067
	idSeekHead     = 0x114D9B74
	idSeek         = 0x4DBB
	idSeekID       = 0x53AB
	idSeekPosition = 0x53AC

	idInfo           = 0x1549A966
	idTimestampScale = 0x2AD7B1
	idDuration       = 0x4489
	idDateUTC        = 0x4461
	idTitle          = 0x7BA9
	idMuxingApp      = 0x4D80
	idWritingApp     = 0x5741

	idTracks      = 0x1654AE6B
	idTrackEntry  = 0xAE
	idTrackNumber = 0xD7
	idTrackUID    = 0x73C5
	idTrackType   = 0x83
	idFlagLacing  = 0x9C
	idLanguage    = 0x22B59C
	idCodecID     = 0x86
	idVideo       = 0xE0
	idPixelWidth  = 0xB0
	idPixelHeight = 0xBA

	idCues               = 0x1C53BB6B
	idCuePoint           = 0xBB
	idCueTime            = 0xB3
	idCueTrackPositions  = 0xB7
	idCueTrack           = 0xF7
	idCueClusterPosition = 0xF1

	idCluster     = 0x1F43B675
	idTimestamp   = 0xE7
	idSimpleBlock = 0xA3
)

// sizeUnknown is written as 01 FF FF FF FF FF FF FF.
const sizeUnknown = 1<<56 - 1

// appendID appends an ID in as many bytes as it has.
func appendID(b []byte, id uint32) []byte {
	switch {
	case id > 0xFFFFFF:
		return binary.BigEndian.AppendUint32(b, id)
	case id > 0xFFFF:
		return append(b, byte(id>>16), byte(id>>8), byte(id))
	case id > 0xFF:
		return append(b, byte(id>>8), byte(id))
	}
	return append(b, byte(id))
}

// appendSize appends a size of 8 bytes, which can be replaced by any other.
func appendSize(b []byte, size uint64) []byte { return binary.BigEndian.AppendUint64(b, 1<<56|size) }

// appendMaster appends an element of elements.
func appendMaster(b []byte, id uint32, children []byte) []byte {
	return append(appendSize(appendID(b, id), uint64(len(children))), children...)
}

// appendUint appends a number in 8 bytes.
func appendUint(b []byte, id uint32, v uint64) []byte {
	return binary.BigEndian.AppendUint64(append(appendID(b, id), 0x88), v)
}

// appendShort appends what is shorter than 127 bytes.
func appendShort(b []byte, id uint32, data ...byte) []byte {
	return append(append(appendID(b, id), 0x80|byte(len(data))), data...)
}

func appendText(b []byte, id uint32, s string) []byte {
	return append(appendSize(appendID(b, id), uint64(len(s))), s...)
}

func appendFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}

// fillTo is how many bytes bring an end to a multiple of align: 0, or at least the 2 of a Void.
func fillTo(end, align int64) int {
	n := int((align - end%align) % align)
	if n == 1 {
		n += int(align)
	}
	return n
}

// appendFill appends a Void of n bytes, which is nothing for 0.
func appendFill(b []byte, n int) []byte {
	switch {
	case n == 0:
		return b
	case n < voidHead:
		b = append(b, idVoid, 0x80|byte(n-2))
		return append(b, make([]byte, n-2)...)
	}
	return append(appendVoidHead(b, n), make([]byte, n-voidHead)...)
}

// voidHead is the bytes of a Void's ID and of a size of 8 bytes.
const voidHead = 9

// appendVoidHead begins a Void of n bytes, head included.
func appendVoidHead(b []byte, n int) []byte {
	return appendSize(append(b, idVoid), uint64(n-voidHead))
}

// What stands in front of the frames.

package matroska

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Positions in the file. A segment's own positions count from segmentData.
const (
	ebmlSize    = 43                             // ffmpeg takes no Void behind the EBML header
	segmentData = ebmlSize + 4 + 8               // Segment's ID and size
	seekSize    = 3 * seekEntrySize              // Info, Tracks, Cues
	infoAt      = segmentData + 4 + 8 + seekSize // SeekHead's ID and size

	// Info begins with its ID and size, TimestampScale (3 + 1 + 8), and Duration's ID and size (2 + 1).
	durationAt = infoAt + 4 + 8 + 12 + 3

	cuesAt  = 1024 - 4 - 8 // the slots begin at 1024
	headEnd = 1024 + cueSlots*cueSlotSize

	// Seek 2 + 8, SeekID 2 + 1 + 4, SeekPosition 2 + 1 + 8.
	seekEntrySize = 10 + 7 + 11
)

// HeadSize is the bytes of a file without a frame.
const HeadSize = headEnd

const (
	trackNumber = 1
	trackVideo  = 1

	titleMax = 200 // bytes
	appMax   = 100
)

// epoch is the zero of DateUTC.
func epoch() time.Time { return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) }

// appendHead makes all of a file up to headEnd.
func appendHead(b []byte, h Header) []byte {
	info, tracks := makeInfo(h), makeTracks(h)
	b = appendEBML(b)
	b = appendSize(appendID(b, idSegment), sizeUnknown)
	var seek []byte
	seek = appendSeek(seek, idInfo, infoAt)
	seek = appendSeek(seek, idTracks, infoAt+len(info))
	seek = appendSeek(seek, idCues, cuesAt)
	b = appendMaster(b, idSeekHead, seek)
	b = append(append(b, info...), tracks...)
	b = appendFill(b, cuesAt-len(b))
	b = appendSize(appendID(b, idCues), cueSlots*cueSlotSize)
	return appendFill(b, headEnd-len(b))
}

func appendEBML(b []byte) []byte {
	var c []byte
	c = appendShort(c, idEBMLVersion, 1)
	c = appendShort(c, idEBMLReadVersion, 1)
	c = appendShort(c, idEBMLMaxIDLength, 4)
	c = appendShort(c, idEBMLMaxSizeLength, 8)
	c = appendShort(c, idDocType, []byte("webm")...)
	c = appendShort(c, idDocTypeVersion, 2)
	c = appendShort(c, idDocTypeReadVersion, 2)
	return appendMaster(b, idEBML, c)
}

func appendSeek(b []byte, id uint32, position int) []byte {
	var c []byte
	c = appendShort(c, idSeekID, binary.BigEndian.AppendUint32(nil, id)...)
	c = appendUint(c, idSeekPosition, uint64(position-segmentData))
	return appendMaster(b, idSeek, c)
}

func makeInfo(h Header) []byte {
	var c []byte
	c = appendUint(c, idTimestampScale, uint64(time.Millisecond))
	c = appendFloat(append(appendID(c, idDuration), 0x88), 0)
	c = appendUint(c, idDateUTC, uint64(h.Start.Sub(epoch())))
	if title := cleanText(h.Title, titleMax); title != "" {
		c = appendText(c, idTitle, title)
	}
	c = appendText(c, idMuxingApp, cleanText(h.App, appMax))
	c = appendText(c, idWritingApp, cleanText(h.App, appMax))
	return appendMaster(nil, idInfo, c)
}

// cleanText is printable UTF-8 of at most limit bytes: a title comes from outside.
func cleanText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	for len(s) > limit {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

func makeTracks(h Header) []byte {
	var video []byte
	video = appendUint(video, idPixelWidth, uint64(h.Width))
	video = appendUint(video, idPixelHeight, uint64(h.Height))
	var c []byte
	c = appendShort(c, idTrackNumber, trackNumber)
	c = appendShort(c, idTrackUID, trackNumber)
	c = appendShort(c, idTrackType, trackVideo)
	c = appendShort(c, idFlagLacing, 0)
	c = appendShort(c, idLanguage, []byte("und")...)
	c = appendShort(c, idCodecID, []byte("V_VP8")...)
	c = appendMaster(c, idVideo, video)
	return appendMaster(nil, idTracks, appendMaster(nil, idTrackEntry, c))
}

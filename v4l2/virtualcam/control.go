// Virtual webcam: requests on endpoint 0 and the probe and commit negotiation.
// Spec: USB 2.0 section 9.4, UVC 1.0 section 4.3.1.1 (26 bytes; 1.1 made it 34, and the
// device says 1.0, which is all that is needed).

package virtualcam

import (
	"encoding/binary"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A setup packet on endpoint 0.
type setup struct {
	kind, request byte // bmRequestType, bRequest
	value, index  uint16
	length        uint16 // bytes the host takes at most
}

const (
	fromDevice        = 0x80
	classFromIface    = 0xa1
	classToIface      = 0x21
	reqStatus         = 0x00
	reqDescriptor     = 0x06
	descDevice        = 1
	descConfiguration = 2
	descString        = 3

	uvcSetCur  = 0x01
	uvcGetCur  = 0x81
	uvcGetMin  = 0x82
	uvcGetMax  = 0x83
	uvcGetRes  = 0x84
	uvcGetLen  = 0x85
	uvcGetInfo = 0x86
	uvcGetDef  = 0x87

	selectProbe            = 1
	selectCommit           = 2
	selectExposurePriority = 3 // of the camera terminal, UVC 1.1 section 4.2.2.1.3
)

// control answers a request; ok false means a stall, "not supported".
func (c *Camera) control(s setup, data []byte, now time.Time) (answer []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.kind == fromDevice && s.request == reqDescriptor:
		answer, ok = c.descriptor(byte(s.value>>8), int(s.value&0xff))
	case s.kind&0xe0 == fromDevice && s.request == reqStatus:
		answer, ok = []byte{0, 0}, true
	case s.kind <= 2: // standard requests with nothing to answer: SET_CONFIGURATION, CLEAR_FEATURE …
		ok = true
	case s.index&0xff == streamingInterface && (s.value>>8 == selectProbe || s.value>>8 == selectCommit):
		answer, ok = c.negotiate(s, data, now)
	case s.index == cameraTerminal<<8|controlInterface && s.value>>8 == selectExposurePriority:
		answer, ok = c.exposurePriority(s, data)
	}
	return answer[:min(len(answer), int(s.length))], ok
}

func (c *Camera) descriptor(kind byte, n int) ([]byte, bool) {
	switch {
	case kind == descDevice:
		return deviceDescriptor, true
	case kind == descConfiguration:
		return c.configuration, true
	case kind == descString && n == 0:
		return []byte{4, descString, 0x09, 0x04}, true // US English
	case kind == descString && n < len(c.words):
		b := []byte{byte(2 + 2*len(c.words[n])), descString}
		for _, r := range c.words[n] {
			b = append(b, byte(r), 0)
		}
		return b, true
	}
	return nil, false // also the device qualifier: high speed only
}

// exposurePriority answers the one control of the camera terminal.
func (c *Camera) exposurePriority(s setup, data []byte) ([]byte, bool) {
	switch {
	case s.kind == classToIface && s.request == uvcSetCur && len(data) == 1 && data[0] <= 1:
		c.priority = data[0]
		return nil, true
	case s.kind != classFromIface:
		return nil, false
	}
	switch s.request {
	case uvcGetCur:
		return []byte{c.priority}, true
	case uvcGetMin:
		return []byte{0}, true
	case uvcGetMax, uvcGetDef, uvcGetRes:
		return []byte{1}, true
	case uvcGetLen:
		return le16(1), true
	case uvcGetInfo:
		return []byte{3}, true // may be read and written
	}
	return nil, false
}

// negotiate answers the probe and commit controls.
func (c *Camera) negotiate(s setup, data []byte, now time.Time) ([]byte, bool) {
	switch {
	case s.kind == classToIface && s.request == uvcSetCur:
		if s.value>>8 == selectCommit && c.faults.Refuse {
			return nil, false
		}
		copy(c.probe[:], data)
		c.settle()
		if s.value>>8 == selectCommit {
			c.stream.begin(now)
			c.kick()
		}
		return nil, true
	case s.kind != classFromIface:
		return nil, false
	}
	switch s.request {
	case uvcGetCur, uvcGetMin, uvcGetMax, uvcGetDef:
		return append([]byte(nil), c.probe[:]...), true
	case uvcGetRes:
		return make([]byte, len(c.probe)), true
	case uvcGetLen:
		return le16(len(c.probe)), true
	case uvcGetInfo:
		return []byte{3}, true // may be read and written
	}
	return nil, false
}

// A probe is the video probe and commit control, little endian:
//
//	hint 2, format 1, frame 1, interval 4, key frame rate 2, P frame rate 2, quality 2,
//	window 2, delay 2, most bytes of a picture 4, most bytes of a payload 4 = 26
type probe [26]byte

// settle replaces what the host left open or the camera cannot do.
func (p *probe) settle(all []Size) {
	if p[2] != formatMJPG && (p[2] != formatYUYV || len(sizesOf(pixfmt.YUYV, all)) == 0) {
		p[2] = formatMJPG
	}
	if n := len(sizesOf(p.format(), all)); p[3] == 0 || int(p[3]) > n {
		p[3] = 1
	}
	asked, granted := binary.LittleEndian.Uint32(p[4:]), intervals[len(intervals)-1]
	for i := len(intervals) - 1; i >= 0 && asked <= intervals[i]; i-- {
		granted = intervals[i] // the shortest that is not shorter than asked
	}
	binary.LittleEndian.PutUint32(p[4:], granted)
	binary.LittleEndian.PutUint32(p[18:], uint32(bufferSize(p.size(all))))
	binary.LittleEndian.PutUint32(p[22:], payloadSize)
}

func (p *probe) format() pixfmt.FourCC {
	if p[2] == formatYUYV {
		return pixfmt.YUYV
	}
	return pixfmt.MJPG
}

func (p *probe) size(all []Size) Size { return sizesOf(p.format(), all)[p[3]-1] }

func (p *probe) interval() time.Duration {
	return time.Duration(binary.LittleEndian.Uint32(p[4:])) * 100 * time.Nanosecond
}

// Requests on endpoint 0, and the negotiation by probe and commit. Sources: USB 2.0 section 9.4,
// UVC 1.0 section 4.3.1.1 (26 bytes; 34 since 1.1, but this device declares 1.0, which is
// enough).

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
	length        uint16 // maximum of bytes of the answer
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

// handleSetup answers a request; ok is false for a stall, "not supported".
func (c *Camera) handleSetup(s setup, data []byte, now time.Time) (answer []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.kind == fromDevice && s.request == reqDescriptor:
		answer, ok = c.descriptor(byte(s.value>>8), int(s.value&0xff))
	case s.kind&0xe0 == fromDevice && s.request == reqStatus:
		answer, ok = []byte{0, 0}, true
	case s.kind <= 2: // standard requests without an answer: SET_CONFIGURATION, CLEAR_FEATURE …
		ok = true
	case s.index&0xff == streamingInterface &&
		(s.value>>8 == selectProbe || s.value>>8 == selectCommit):
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
	case kind == descString && n < len(c.stringDescriptors):
		b := []byte{byte(2 + 2*len(c.stringDescriptors[n])), descString}
		for _, r := range c.stringDescriptors[n] {
			b = append(b, byte(r), 0)
		}
		return b, true
	}
	return nil, false // also for the device qualifier: this device has one speed only
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
		copy(c.probe[:], data)
		c.settleProbe()
		if s.value>>8 == selectCommit && c.faults.in(c.probe.pixelFormat()).Refuse {
			return nil, false
		}
		if s.value>>8 == selectCommit {
			c.stream.startAt(now)
			c.wakeFeeder()
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
//	window 2, delay 2, maximum bytes of a picture 4, of a payload 4 = 26
type probe [26]byte

// settleFields replaces the fields that the host left open or that the camera cannot fulfil.
func (p *probe) settleFields(all []Size) {
	if p[2] != formatMJPG && (p[2] != formatYUYV || len(sizesFor(pixfmt.YUYV, all)) == 0) {
		p[2] = formatMJPG
	}
	if n := len(sizesFor(p.pixelFormat(), all)); p[3] == 0 || int(p[3]) > n {
		p[3] = 1
	}
	asked, granted := binary.LittleEndian.Uint32(p[4:]), frameIntervals[len(frameIntervals)-1]
	for i := len(frameIntervals) - 1; i >= 0 && asked <= frameIntervals[i]; i-- {
		granted = frameIntervals[i] // the shortest that is not shorter than the request
	}
	binary.LittleEndian.PutUint32(p[4:], granted)
	binary.LittleEndian.PutUint32(p[18:], uint32(bufferSize(p.pictureSize(all))))
	binary.LittleEndian.PutUint32(p[22:], payloadSize)
}

func (p *probe) pixelFormat() pixfmt.FourCC {
	if p[2] == formatYUYV {
		return pixfmt.YUYV
	}
	return pixfmt.MJPG
}

func (p *probe) pictureSize(all []Size) Size { return sizesFor(p.pixelFormat(), all)[p[3]-1] }

func (p *probe) interval() time.Duration {
	return time.Duration(binary.LittleEndian.Uint32(p[4:])) * 100 * time.Nanosecond
}

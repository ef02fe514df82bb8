// Frame to payloads: the sender's half. Allocates nothing for a frame.
// Spec: RFC 7741 section 4.

package rtpvp8

// A Packetizer cuts frames into payloads. It keeps a view of the frame between
// Start and the last Next and no memory of its own. Use it from one goroutine.
type Packetizer struct {
	maxPayload int
	pictureID  uint16
	rest       []byte // what is left of the frame, the caller's memory
	start      bool
	fresh      bool // no frame was started yet
}

// NewPacketizer makes payloads of at most maxPayload bytes, descriptor included,
// and numbers frames from firstPictureID (15 bits), which RFC 7741 asks to be
// random. A maxPayload that leaves no room for data is raised until one byte fits.
func NewPacketizer(maxPayload int, firstPictureID uint16) *Packetizer {
	return &Packetizer{
		maxPayload: max(maxPayload, descriptorSize+1),
		pictureID:  firstPictureID & idMask15,
		fresh:      true,
	}
}

// Start begins a frame and drops what was left of the one before. The bytes stay
// the caller's and must not change until the last Next. An empty frame has no
// packets and takes no PictureID.
func (p *Packetizer) Start(frame []byte) {
	p.rest, p.start = frame, true
	if len(frame) == 0 {
		return
	}
	if !p.fresh {
		p.pictureID = (p.pictureID + 1) & idMask15
	}
	p.fresh = false
}

// Next writes the next payload into dst and says how long it is and whether it is
// the frame's last, which carries the RTP marker. n is 0 when nothing is left or
// when dst is too short for a descriptor and a byte; a dst shorter than
// maxPayload gives more and smaller payloads.
//
// The payloads of a frame are of about equal size: a tiny last packet costs as much
// header as a full one, and what a queue does to a packet depends on its size.
func (p *Packetizer) Next(dst []byte) (n int, last bool) {
	room := min(p.maxPayload, len(dst)) - descriptorSize
	if len(p.rest) == 0 || room < 1 {
		return 0, true
	}
	packets := (len(p.rest) + room - 1) / room
	size := (len(p.rest) + packets - 1) / packets
	putDescriptor(dst, p.start, p.pictureID)
	copy(dst[descriptorSize:], p.rest[:size])
	p.rest, p.start = p.rest[size:], false
	return descriptorSize + size, len(p.rest) == 0
}

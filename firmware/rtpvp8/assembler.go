// Payloads to frames: the receiver's half. Owns the frame under construction.
// Spec: RFC 7741 sections 4.2 and 4.5. What puts packets in order is in window.go.

package rtpvp8

// MaxFrame is the largest frame that an Assembler builds, in bytes. A key frame of
// 1920x1080 at the finest quantizer stays below 1.5 MiB; what is larger is no
// camera's frame but somebody who fills our memory.
const MaxFrame = 4 << 20

// NoPictureID stands for a descriptor without one.
const NoPictureID = -1

// A Frame is a whole VP8 frame: all of its packets came.
type Frame struct {
	Bytes     []byte // the Assembler's memory, valid until use returns
	Key       bool
	Damaged   bool   // a frame since the last key frame is missing: a decoder lacks what this one refers to
	Timestamp uint32 // RTP, 1/90000 s
	PictureID int    // 7 or 15 bits, or NoPictureID
	Width     int    // pixels, of the last key frame; 0 before the first
	Height    int
}

// Counters count since the Assembler was made.
type Counters struct {
	Frames    uint64 // handed out
	Lost      uint64 // frames: exact if the sender writes PictureIDs, else at least that many
	Missing   uint64 // packets that never came in time
	Late      uint64 // packets that came too late, or twice
	Malformed uint64 // payloads or frames that are no VP8
	Oversized uint64 // frames larger than MaxFrame
}

// An Assembler puts the payloads of one SSRC together. Use it from one goroutine.
type Assembler struct {
	use      func(Frame)
	order    window
	counters Counters

	frame     []byte // under construction, reused
	open      bool   // a frame is under construction
	timestamp uint32
	id, mask  int // of the frame under construction

	gap           bool // packets are missing where no frame was under construction
	broken        bool // brokenAt is set
	brokenAt      uint32
	suspected     int // losses noticed since the last whole frame
	lastID        int
	waiting       bool // a reference is missing until a key frame comes
	width, height int
}

// NewAssembler hands whole frames to use, in order, from within Push and Flush.
// Packets may overtake each other by less than reorder places, rounded up to a
// power of two and at most 1024: after a loss, frames wait for that many packets,
// so 1 suits a link that keeps the order and 32 one with jitter.
func NewAssembler(reorder int, use func(Frame)) *Assembler {
	return &Assembler{use: use, order: newWindow(reorder), lastID: NoPictureID, waiting: true}
}

// Push takes one packet's RTP sequence number, timestamp, marker and payload; the
// payload is copied. An error says that the payload is no VP8 (ErrMalformed); it
// counts as lost and the Assembler goes on.
func (a *Assembler) Push(seq uint16, ts uint32, marker bool, payload []byte) error {
	p := packet{seq: seq, ts: ts, marker: marker, data: payload}
	var err error
	if len(payload) > 0 { // without a payload it is padding, which only fills its place
		if p.descriptor, err = parseDescriptor(payload); err != nil {
			a.counters.Malformed++
			p.bad, p.data = true, nil
		} else {
			p.data = payload[p.descriptor.size:]
		}
	}
	a.placePacket(p)
	return err
}

// Flush gives up waiting for packets that are missing and hands out what is whole.
// A receiver calls it when it has waited long enough, or at the end.
func (a *Assembler) Flush() {
	if a.order.started {
		a.giveUp(a.order.newest + 1)
	}
}

// GiveUp gives up waiting for the packet seq and all before it. A receiver that asks for
// packets again calls it for each when it has waited long enough.
func (a *Assembler) GiveUp(seq uint16) {
	if a.order.started && int16(seq-a.order.next) >= 0 && int16(a.order.newest-seq) >= 0 {
		a.giveUp(seq + 1)
	}
}

// WaitsForKeyFrame says whether a receiver should ask for a key frame (PLI): none
// has come yet, or something was lost since.
func (a *Assembler) WaitsForKeyFrame() bool { return a.waiting || a.suspected > 0 || a.gap }

// Counters returns what was counted so far.
func (a *Assembler) Counters() Counters { return a.counters }

// loseFrame ends the frame of timestamp ts, which cannot become whole any more.
func (a *Assembler) loseFrame(ts uint32) {
	a.open = false
	if !a.broken || a.brokenAt != ts { // each frame counts once, whatever of it is missing
		a.suspected++
	}
	a.broken, a.brokenAt = true, ts
}

// noteMissing notes that packets are missing before the next takePacket.
func (a *Assembler) noteMissing(packets int) {
	a.counters.Missing += uint64(packets)
	if a.open {
		a.loseFrame(a.timestamp)
	} else {
		a.gap = true
	}
}

// takePacket continues, begins or loses a frame with the next packet in order.
func (a *Assembler) takePacket(p packet) {
	if p.bad {
		a.noteMissing(0)
		return
	}
	if len(p.data) == 0 {
		return
	}
	if a.open && p.ts != a.timestamp {
		a.loseFrame(a.timestamp) // its last packet came without a marker
	}
	if !a.open && !a.beginFrame(p) {
		return
	}
	if len(a.frame)+len(p.data) > MaxFrame {
		a.counters.Oversized++
		a.loseFrame(p.ts)
		return
	}
	a.frame = append(a.frame, p.data...)
	if p.marker {
		a.finishFrame()
	}
}

// beginFrame starts a frame if p is the first packet of one.
func (a *Assembler) beginFrame(p packet) bool {
	first := p.descriptor.start && p.descriptor.partition == 0
	// A sender may set S on later partitions and leave PID at 0, so a start bit
	// within a frame that is already broken begins nothing.
	if !first || a.broken && p.ts == a.brokenAt {
		a.gap = false
		a.loseFrame(p.ts)
		return false
	}
	if a.gap { // the rest of a frame nobody saw the start of, or whole frames
		a.gap = false
		a.suspected++
	}
	a.open, a.frame, a.timestamp = true, a.frame[:0], p.ts
	a.id, a.mask = p.descriptor.pictureID, p.descriptor.idMask
	return true
}

// finishFrame hands out the frame under construction.
func (a *Assembler) finishFrame() {
	h, err := ParseHeader(a.frame)
	if err != nil {
		a.counters.Malformed++
		a.loseFrame(a.timestamp)
		return
	}
	a.open = false
	if lost := a.countLost(); lost > 0 {
		a.counters.Lost += uint64(lost)
		a.waiting = true
	}
	if h.Key {
		a.waiting, a.width, a.height = false, h.Width, h.Height
	}
	a.suspected, a.broken, a.lastID = 0, false, a.id
	a.counters.Frames++
	a.use(Frame{
		Bytes: a.frame, Key: h.Key, Damaged: a.waiting, Timestamp: a.timestamp,
		PictureID: a.id, Width: a.width, Height: a.height,
	})
}

// countLost says how many frames are missing between the last whole one and this. Only
// PictureIDs know: a missing packet can be padding, and a gap can hold many frames.
func (a *Assembler) countLost() int {
	if a.suspected == 0 || a.id == NoPictureID || a.lastID == NoPictureID {
		return a.suspected
	}
	// A sender that starts over numbers from anywhere: half the range is no loss.
	if n := (a.id - a.lastID - 1) & a.mask; n <= a.mask/2 {
		return n
	}
	return a.suspected
}

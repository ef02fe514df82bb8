// Frames become packets that wait in the history. No allocation. Spec: RFC 3550 section 5.1.

package rtpsend

import (
	"log/slog"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/pathsize"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// A packetQueue cuts frames into packets of a size that fits the path.
type packetQueue struct {
	packetizer *rtpvp8.Packetizer
	limit      pathsize.Limit
	checkedAt  time.Duration // when the kernel was last asked for the path's MTU
	maxPayload int           // bytes, VP8 descriptor included; 0: not known yet
	overhead   int           // bytes that a payload grows by before it is sent
	history    *resend.History
}

func newPacketQueue(cfg *Config) packetQueue {
	q := packetQueue{
		packetizer: rtpvp8.NewPacketizer(rtpvp8.MaxPayload, cfg.First.PictureID),
		history:    resend.NewHistory(cfg.First.Sequence),
		limit:      pathsize.NewLimit(cfg.MTU, udp.HeaderSize(cfg.RTP.Addr())),
	}
	if cfg.RTX {
		q.overhead += packet.RTXHeaderSize
	}
	if cfg.srtp != nil {
		q.overhead += cfg.srtp.growth
	}
	return q
}

// queueFrame puts the packets of a frame behind those that wait. With 1,024 of them, the oldest leave,
// or are discarded where the ceiling has no room. The first packet bears the capture time, NTP, unless
// that is 0. doubled: all of it is to leave a second time. onWire is what the frame's packets will be
// there, in bytes. sending is held.
func (s *Sender) queueFrame(frame []byte, timestamp uint32, captured uint64, doubled bool, sent *tally) (
	onWire int, err error,
) {
	q := &s.queue
	q.packetizer.Start(frame)
	for last := false; !last; {
		if q.history.IsFull() {
			if err := s.makeRoom(sent); err != nil {
				return onWire, err
			}
		}
		b, sequence := q.history.Reserve()
		extensions := packet.PutExtensions(b[packet.HeaderSize:], s.cfg.TransportID, s.cfg.CaptureTimeID, captured)
		head := packet.HeaderSize + extensions
		var n int
		n, last = q.packetizer.Next(b[head : packet.HeaderSize+q.maxPayload])
		packet.PutHeader(b, extensions > 0, last, sequence, timestamp, s.cfg.First.SSRC)
		captured = 0 // the frame's other packets bear the same timestamp
		q.history.QueuePacket(head+n, doubled)
		onWire += s.sizeOnWire(head + n)
	}
	return onWire, nil
}

// makeRoom makes room for a packet in a queue that is full. sending is held.
func (s *Sender) makeRoom(sent *tally) error {
	if s.ceiling.Wait(sent.at, s.sizeOnWire(len(s.queue.history.PeekNext()))) == 0 {
		return s.sendNext(sent)
	}
	s.queue.history.PopNext()
	sent.discarded++
	return nil
}

// captureTime is the wall clock's time of at, for the first packet of a frame; 0: it bears none.
func (s *Sender) captureTime(now, at time.Duration) uint64 {
	if s.cfg.CaptureTimeID == 0 {
		return 0
	}
	return session.NTP(s.cfg.Now().Add(at - now))
}

// mtuInterval is how often the kernel is asked for the MTU of this machine's way out, which may grow
// or shrink while a stream runs: a VPN begins, a modem dials in again.
const mtuInterval = 5 * time.Second

// checkMTU asks the kernel if it is time to. sending is held.
func (s *Sender) checkMTU(now time.Duration, log *pendingLog) {
	if now-s.queue.checkedAt >= mtuInterval {
		s.queue.checkedAt = now
		s.fitPath(s.wire.conn.MTU(), log)
	}
}

// checkSize makes packets smaller if those of this size do not arrive, and larger again for a trial.
// sending is held.
func (s *Sender) checkSize(now time.Duration, log *pendingLog) {
	s.mu.Lock()
	stuck := s.stuck
	s.stuck = false
	s.mu.Unlock()
	l, found := &s.queue.limit, s.departures.TakeSizeVerdict(now)
	l.NoteArrival(found.Largest)
	before := l.Size()
	switch {
	case found.TooLarge > 0:
		if l.StepDown(now, found.TooLarge) {
			s.usePacketSize(now, true)
			log.addLine(slog.LevelWarn, "only small packets arrive: packets are smaller from now on",
				"to", s.cfg.RTP, "bytes", l.Size(), "before", before,
				"because", "a link on the way carries no larger ones and does not say so",
				"remedy", "nothing, or set stream.mtu to what the path carries")
		}
	case stuck && l.Guess(now):
		s.usePacketSize(now, true)
		log.addLine(slog.LevelWarn,
			"nothing arrives: packets are smaller from now on, in case they were too large",
			"to", s.cfg.RTP, "bytes", l.Size(), "before", before,
			"remedy", "look for a firewall in the way of the receiver's RTP port")
	case l.Size() != before || l.Retry(now, found.LosesRuns):
		s.usePacketSize(now, false)
		log.addLine(slog.LevelInfo, "packets are as large as before, to see whether they arrive",
			"to", s.cfg.RTP, "bytes", l.Size(), "before", before)
	}
}

// usePacketSize cuts packets to the size that the limit has changed to. If it is smaller, what has left
// is not sent again: it would be lost again. sending is held.
func (s *Sender) usePacketSize(now time.Duration, smaller bool) {
	s.fitPath(0, new(pendingLog)) // the caller's line says it
	if !smaller {
		s.departures.NoteLargerPackets()
		return
	}
	s.departures.NoteSmallerPackets(now)
	s.queue.history.ForgetSent()
	s.mu.Lock()
	s.keyFrames.forceNext()
	s.mu.Unlock()
}

// fitPath makes packets small enough for a way out of mtu bytes; 0 is no news. sending is held, or
// nobody sends yet.
func (s *Sender) fitPath(mtu int, log *pendingLog) {
	q := &s.queue
	q.limit.NoteMTU(mtu)
	room := q.limit.Size() - s.wire.headerSize - packet.HeaderSize - q.overhead
	room = min(room, rtpvp8.MaxPayload-q.overhead)
	if q.maxPayload != 0 && room != q.maxPayload {
		log.addLine(slog.LevelInfo, "packets fit the path", "bytes", q.limit.Size(), "payload", room)
	}
	q.maxPayload = room
}

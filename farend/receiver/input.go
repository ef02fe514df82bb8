// What comes from the network: RTP and RTCP of a stranger until the SSRC is learned, and not
// to be trusted then either.

package receiver

import (
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// takeRTP takes one datagram; b is the caller's.
func (r *Receiver) takeRTP(b []byte, _ net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.granted {
		r.stats.Unasked++
		return
	}
	size := len(b)
	b, ok, repeated := r.srtp.openRTP(b)
	switch {
	case repeated:
		r.stats.Repeated++
		return
	case !ok:
		r.stats.Forged++
		return
	}
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil || p.Version != 2 {
		r.stats.Malformed++
		return
	}
	now := r.elapsed()
	if s := r.findSender(p.SSRC, now); s == nil || !s.takePacket(&p, size, r.ssrc, now) {
		r.stats.Foreign++
	}
}

// takePacket says whether the packet belongs to the stream. size is that of the datagram.
func (s *sender) takePacket(p *rtp.Packet, size int, ourSSRC uint32, now time.Duration) bool {
	if s.sequence.started && p.PayloadType != s.payloadType {
		return false
	}
	if !s.sequence.started {
		s.payloadType, s.beganAt = p.PayloadType, now
	}
	started, highest := s.sequence.started, s.sequence.highest
	if !s.sequence.takeNumber(p.SequenceNumber) {
		return false
	}
	if started && s.gaps.takeNumber(p.SequenceNumber, highest, now) {
		s.healed++
	}
	s.packetAt = now
	s.arrivals.addPacket(p, ourSSRC, now)
	s.bytes += uint64(size)
	s.sequence.updateJitter(ticks(now), p.Timestamp)
	// The Assembler counts what it cannot read; nobody else needs the error.
	_ = s.assembler.Push(p.SequenceNumber, p.Timestamp, p.Marker, p.Payload)
	return true
}

// findSender gives the sender with this SSRC: the one we have, or a new one if there is none
// or it is gone. Nil: another one is alive.
func (r *Receiver) findSender(ssrc uint32, now time.Duration) *sender {
	s := r.sender
	switch {
	case s != nil && s.ssrc == ssrc && !s.saidBye:
		return s
	case s != nil && s.ssrc == ssrc: // what was on its way when it said BYE
		return nil
	case s != nil && s.isAlive(now):
		return nil
	}
	r.dropSender()
	s = &sender{ssrc: ssrc, packetAt: now, beganAt: now}
	s.assembler = rtpvp8.NewAssembler(reorderWindow, func(f rtpvp8.Frame) { r.takeFrame(s, f) })
	r.rate, r.rateBytes, r.rateAt = 0, 0, now
	r.sender = s
	r.reportDueAt = now + r.randomizeInterval(r.reportInterval()/2) // RFC 3550 6.2: half of it before the first
	return s
}

// takeFrame counts and records a whole frame. It runs within Push and Flush.
func (r *Receiver) takeFrame(s *sender, f rtpvp8.Frame) {
	now := r.elapsed()
	s.frames++
	s.width, s.height = f.Width, f.Height
	if f.Key {
		s.keyFrames++
	}
	if d, known := s.delay.delayOf(f.Timestamp, now); known {
		s.delaySum += d
		s.delayCount++
	}
	if f.Damaged { // a decoder could only show rubbish until the next key frame
		s.damaged++
		return
	}
	s.goodFrameAt, s.hasGoodFrame = now, true
	if r.config.IVFDir == "" || r.recordError != nil {
		return
	}
	if err := r.recordFrame(s, f); err != nil {
		r.stopRecording(err)
	}
}

func (r *Receiver) recordFrame(s *sender, f rtpvp8.Frame) (err error) {
	if s.record == nil { // f is a key frame: all before it are damaged
		name := fmt.Sprintf("%s-%08x.ivf", r.config.Now().UTC().Format("20060102-150405.000"), s.ssrc)
		if s.record, err = createIVF(filepath.Join(r.config.IVFDir, name), f.Width, f.Height); err != nil {
			return err
		}
	}
	return s.record.writeFrame(f.Bytes, f.Timestamp)
}

// takeRTCP takes one datagram, usually a compound packet; b is the caller's.
func (r *Receiver) takeRTCP(b []byte, from net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.granted {
		r.stats.Unasked++
		return
	}
	b, ok := r.srtp.openRTCP(b)
	if !ok {
		r.stats.Forged++
		return
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		r.stats.Malformed++
		return
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			r.takeSenderReport(p, from)
		case *rtcp.Goodbye:
			r.takeBye(p)
		}
	}
}

func (r *Receiver) takeSenderReport(p *rtcp.SenderReport, from net.Addr) {
	now := r.elapsed()
	s := r.findSender(p.SSRC, now)
	if s == nil {
		r.stats.Foreign++
		return
	}
	r.stats.SenderReports++
	r.replyTo = from
	s.reportMiddle, s.reportAt = uint32(p.NTPTime>>16), now
	s.delay.takeReport(p.NTPTime, p.RTPTime, now)
}

func (r *Receiver) takeBye(p *rtcp.Goodbye) {
	for _, ssrc := range p.Sources {
		if r.sender != nil && r.sender.ssrc == ssrc {
			r.sender.assembler.Flush()
			r.sender.saidBye = true
			r.config.Log.Info("receiver: the source said BYE",
				"ssrc", ssrc, "reason", fmt.Sprintf("%.60q", p.Reason))
		}
	}
}

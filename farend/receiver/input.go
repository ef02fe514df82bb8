// What comes from the network, from anybody. latch.go says whose it is.

package receiver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// takeRTP takes one datagram; b is the caller's.
func (r *Receiver) takeRTP(b []byte, from net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.granted {
		r.stats.Unasked++
		return
	}
	a, ok := arrivalOf(b, addrPortOf(from), r.elapsed())
	switch {
	case !ok:
		r.stats.Malformed++
	case r.srtp != nil:
		r.takeSealedRTP(b, a)
	default:
		r.takeClearRTP(b, a)
	}
}

// rtpHeaderMin is RTP's fixed header, in bytes.
const rtpHeaderMin = 12

// arrivalOf reads what decides whose packet it is, before anything that costs more. RTCP on
// RTP's port is none (RFC 5761 section 4: payload types 64 to 95).
func arrivalOf(b []byte, from netip.AddrPort, now time.Duration) (a arrival, ok bool) {
	if len(b) < rtpHeaderMin || b[0]>>6 != 2 {
		return a, false
	}
	if t := b[1] & 0x7f; t >= 64 && t <= 95 {
		return a, false
	}
	return arrival{
		from: from, ssrc: binary.BigEndian.Uint32(b[8:]), number: binary.BigEndian.Uint16(b[2:]), at: now,
	}, true
}

// addrPortOf is not valid for what is no UDP address.
func addrPortOf(a net.Addr) netip.AddrPort {
	udp, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := udp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

// takeSealedRTP takes a packet of an encrypted stream. Whoever can seal is the source, wherever
// it sends from; another SSRC than the announced one is not worth the decryption.
func (r *Receiver) takeSealedRTP(sealed []byte, a arrival) {
	if r.latch.announced != 0 && a.ssrc != r.latch.announced {
		r.leaveOut(a)
		return
	}
	b, ok, repeated := r.srtp.openRTP(sealed)
	switch {
	case repeated:
		r.stats.Repeated++
		return
	case !ok:
		r.stats.Forged++
		return
	}
	switch v := r.latch.judgeSealed(a); v {
	case verdictOurs:
		r.takeOurs(b, len(sealed), a)
	case verdictNew:
		r.beginSender(a)
		r.takeOurs(b, len(sealed), a)
	default:
		r.leaveOut(a)
	}
}

// takeClearRTP takes a packet that anybody may have sent.
func (r *Receiver) takeClearRTP(b []byte, a arrival) {
	switch v := r.latch.judge(a, b); v {
	case verdictStranger:
		r.leaveOut(a)
	case verdictWaits:
		r.stats.Foreign++
	case verdictOurs:
		r.takeOurs(b, len(b), a)
	default:
		due := r.latch.takeDue()
		r.stats.Foreign -= uint64(len(due) - 1) // all but this one were counted
		if v == verdictNew || r.sender == nil {
			r.beginSender(a)
		} else {
			r.config.Log.Info("receiver: the source sends from another address", "from", a.from.String())
		}
		for _, kept := range due {
			r.takeOurs(kept, len(kept), a)
		}
	}
}

// leaveOut counts a packet of somebody else.
func (r *Receiver) leaveOut(a arrival) {
	r.stats.Foreign++
	r.strangers.note(a, r.latch.reasonAgainst(a), r.config.Log)
}

// takeOurs takes a packet of the source; size is that of its datagram.
func (r *Receiver) takeOurs(b []byte, size int, a arrival) {
	var p rtp.Packet
	if err := p.Unmarshal(b); err != nil {
		r.stats.Malformed++
		return
	}
	if !r.sender.takePacket(&p, size, r.ssrc, a.at) {
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
	if gap := now - s.packetAt; gap < senderTimeout {
		s.active += gap
	}
	s.packetAt = now
	s.arrivals.addPacket(p, ourSSRC, now)
	s.bytes += uint64(size)
	s.sequence.updateJitter(ticks(now), p.Timestamp)
	// The Assembler counts what it cannot read; nobody else needs the error.
	_ = s.assembler.Push(p.SequenceNumber, p.Timestamp, p.Marker, p.Payload)
	return true
}

// beginSender begins to count a source that was found, in the place of the one before.
func (r *Receiver) beginSender(a arrival) {
	r.dropSender()
	s := &sender{ssrc: a.ssrc, packetAt: a.at, beganAt: a.at}
	s.assembler = rtpvp8.NewAssembler(reorderWindow, func(f rtpvp8.Frame) { r.takeFrame(s, f) })
	r.rate, r.rateBytes, r.rateAt = 0, 0, a.at
	r.sender, r.replyTo = s, nil
	r.reportDueAt = a.at + r.randomizeInterval(firstReportDelay)
	r.config.Log.Info("receiver: a source sends", "from", a.from.String(), "ssrc", a.ssrc)
	for _, early := range r.earlyReports {
		if early.report.SSRC == a.ssrc && (r.srtp != nil || r.latch.isOurReport(early.from.Addr(), a.ssrc, a.at)) {
			r.applySenderReport(early.report, early.from, early.to, early.at)
		}
	}
	r.earlyReports = nil
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
	shown, err := checkFrame(f.Bytes)
	if err != nil {
		s.brokenFrames++
	}
	// After one that no decoder can read, a decoder could only show rubbish until the next key frame.
	s.broken = err != nil || s.broken && !f.Key
	if f.Damaged || s.broken {
		s.damaged++
		return
	}
	if shown {
		s.goodFrameAt, s.hasGoodFrame = now, true
	}
	if r.config.IVFDir == "" || r.recordError != nil {
		return
	}
	if err := r.recordFrame(s, f); err != nil {
		r.stopRecording(err)
	}
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
	now := r.elapsed()
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			r.takeSenderReport(p, from, now)
		case *rtcp.Goodbye:
			r.takeBye(p, from, now)
		}
	}
}

// An earlyReport came before the first packets of its source.
type earlyReport struct {
	report rtcp.SenderReport
	from   netip.AddrPort
	to     net.Addr // from, as the socket takes it
	at     time.Duration
}

// earlyReportsMax is bounded, since anybody may send some.
const earlyReportsMax = 4

// takeSenderReport takes a report of the source, or keeps one of a source that may begin.
func (r *Receiver) takeSenderReport(p *rtcp.SenderReport, to net.Addr, now time.Duration) {
	from := addrPortOf(to)
	switch {
	case r.isOurRTCP(from.Addr(), p.SSRC, now):
		r.applySenderReport(*p, from, to, now)
	case r.srtp == nil && r.latch.rankOf(from.Addr(), p.SSRC) == rankNone:
		r.leaveOut(arrival{from: from, ssrc: p.SSRC, at: now})
	case r.sender != nil && r.sender.ssrc == p.SSRC, r.sender != nil && !r.latch.isGone(now):
		r.stats.Foreign++
	default:
		if len(r.earlyReports) == earlyReportsMax {
			r.earlyReports = r.earlyReports[1:]
		}
		r.earlyReports = append(r.earlyReports, earlyReport{*p, from, to, now})
	}
}

// isOurRTCP says whether RTCP is about the source. SRTCP proves that by itself.
func (r *Receiver) isOurRTCP(from netip.Addr, ssrc uint32, now time.Duration) bool {
	if r.sender == nil || r.sender.ssrc != ssrc {
		return false
	}
	return r.srtp != nil || r.latch.isOurReport(from, ssrc, now)
}

func (r *Receiver) applySenderReport(p rtcp.SenderReport, from netip.AddrPort, to net.Addr, at time.Duration) {
	s := r.sender
	r.stats.SenderReports++
	r.replyTo = to
	s.reportMiddle, s.reportAt = uint32(p.NTPTime>>16), at
	r.latch.reportAt = at
	s.delay.takeReport(p.NTPTime, p.RTPTime, at)
}

// takeBye notes a BYE. It is believed once nothing has come after it for byeSilence: anybody
// can write one, but nobody else can make the source fall silent.
func (r *Receiver) takeBye(p *rtcp.Goodbye, from net.Addr, now time.Duration) {
	for _, ssrc := range p.Sources {
		if r.isOurRTCP(addrPortOf(from).Addr(), ssrc, now) {
			r.latch.takeBye(now)
		} else {
			r.stats.Foreign++
		}
	}
}

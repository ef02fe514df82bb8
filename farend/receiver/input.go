// What comes from the network, from anybody. latch.go says whose it is.

package receiver

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// A taken packet changed what the Server must know to tell packets of many sessions apart.
type taken struct {
	ended bool // nothing was taken: the stream is over
	from  netip.AddrPort
	ssrc  uint32
	moved bool // a source begins, or goes on from another address: from
}

// takeRTP takes one datagram; b is the caller's.
func (r *session) takeRTP(b []byte, from netip.AddrPort, now time.Time) taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return taken{ended: true}
	}
	before, ssrcBefore := r.latch.from, r.latch.ssrc
	h, ok := parseHeader(b)
	a := arrival{from: from, ssrc: h.ssrc, number: h.number, at: r.elapsed(now), now: now}
	switch {
	case !ok:
		r.stats.Malformed++
	case r.isResend(&h):
		r.takeResend(b, h, a)
	case r.srtp != nil:
		r.takeSealedRTP(b, a)
	default:
		r.takeClearRTP(b, h, a)
	}
	moved := r.latch.from != before || r.latch.ssrc != ssrcBefore
	return taken{from: r.latch.from, ssrc: r.latch.ssrc, moved: moved}
}

// A claim is what a session says to a resend.
type claim int

const (
	claimNone   claim = iota
	claimKnown        // it comes from where its source's resends come from
	claimWanted       // it may bring what was requested
)

// claimResend says whether a resend may be for this session, where several sources send from one
// address. What is sealed cannot be read before it is opened.
func (r *session) claimResend(h *header) claim {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sender
	switch {
	case s == nil || !r.isResend(h):
		return claimNone
	case s.resends.known && s.resends.ssrc == h.ssrc:
		return claimKnown
	case s.resends.known || len(h.payload) < originalNumberSize:
		return claimNone
	case r.srtp != nil && len(s.gaps) > 0,
		r.srtp == nil && s.gaps.wasRequested(binary.BigEndian.Uint16(h.payload)):
		return claimWanted
	}
	return claimNone
}

// isResend says whether a packet looks like one of RFC 4588.
func (r *session) isResend(h *header) bool {
	s := r.sender
	return s != nil && h.payloadType == resendType && s.payloadType != resendType && h.ssrc != s.ssrc
}

// takeResend takes what looks like a resend: in the clear it comes from where the packets come from.
func (r *session) takeResend(b []byte, h header, a arrival) {
	if a.from.Addr() != r.latch.from.Addr() || r.srtp == nil && a.from != r.latch.from {
		r.leaveOut(a)
		return
	}
	if r.srtp != nil {
		plain, ok, repeated := r.srtp.openRTP(b)
		switch {
		case repeated:
			r.stats.Repeated++
			return
		case !ok:
			r.stats.Forged++
			return
		}
		b = plain
		if h, ok = parseHeader(b); !ok {
			r.stats.Malformed++
			return
		}
	}
	first, ok := r.sender.takeResend(b, &h, r.srtp != nil, a.at)
	switch {
	case !ok:
		r.stats.Foreign++
	case first:
		r.passPacket(r.sender.resends.restored, a.now)
	}
}

// takeSealedRTP takes a packet of an encrypted stream. Whoever can seal is the source, wherever
// it sends from; another SSRC than the announced one is not worth the decryption.
func (r *session) takeSealedRTP(sealed []byte, a arrival) {
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
	h, ok := parseHeader(b)
	if !ok {
		r.stats.Malformed++
		return
	}
	switch v := r.latch.judgeSealed(a); v {
	case verdictOurs:
		r.takeOurs(b, &h, len(sealed), a)
	case verdictNew:
		r.beginSender(a)
		r.takeOurs(b, &h, len(sealed), a)
	default:
		r.leaveOut(a)
	}
}

// takeClearRTP takes a packet that anybody may have sent.
func (r *session) takeClearRTP(b []byte, h header, a arrival) {
	switch v := r.latch.judge(a, b); v {
	case verdictStranger:
		r.leaveOut(a)
	case verdictWaits:
		r.stats.Foreign++
	case verdictOurs:
		r.takeOurs(b, &h, len(b), a)
	default:
		due := r.latch.takeDue()
		r.stats.Foreign -= uint64(len(due) - 1) // all but this one were counted
		if v == verdictNew || r.sender == nil {
			r.beginSender(a)
		} else {
			r.log.Info("receiver: the source sends from another address", "from", a.from.String())
		}
		for _, kept := range due {
			if h, ok := parseHeader(kept); ok {
				r.takeOurs(kept, &h, len(kept), a)
			}
		}
	}
}

// leaveOut counts a packet of somebody else.
func (r *session) leaveOut(a arrival) {
	r.stats.Foreign++
	r.strangers.note(a, r.latch.reasonAgainst(a), r.log)
}

// takeOurs takes a packet of the source; size is that of its datagram.
func (r *session) takeOurs(b []byte, h *header, size int, a arrival) {
	ok, first := r.sender.takeMedia(h, size, a.at)
	switch {
	case !ok:
		r.stats.Foreign++
	case first:
		r.passPacket(b, a.now)
	}
	r.stats.HeardAt = a.now
}

func (r *session) passPacket(b []byte, at time.Time) {
	for _, sink := range r.sinks {
		sink.TakePacket(b, at)
	}
}

// beginSender begins to count a source that was found, in the place of the one before.
func (r *session) beginSender(a arrival) {
	if r.sender != nil {
		r.dropSender()
		for _, sink := range r.sinks {
			sink.Restart()
		}
	}
	s := &sender{ssrc: a.ssrc, ours: r.ssrc, packetAt: a.at, beganAt: a.at}
	s.assembler = rtpvp8.NewAssembler(reorderWindow, func(f rtpvp8.Frame) { r.takeFrame(s, f) })
	r.rate, r.rateBytes, r.rateAt = 0, 0, a.at
	r.sender, r.replyTo = s, netip.AddrPort{}
	r.second.begin(a.at)
	r.reportDueAt = a.at + r.randomizeInterval(firstReportDelay)
	r.log.Info("receiver: a source sends", "from", a.from.String(), "ssrc", a.ssrc)
	for _, early := range r.earlyReports {
		if early.report.SSRC == a.ssrc &&
			(r.srtp != nil || r.latch.isOurReport(plain(early.from.Addr()), a.ssrc, a.at)) {
			r.applySenderReport(early.report, early.from, early.at)
		}
	}
	r.earlyReports = nil
}

// takeFrame counts a whole frame and hands it on. It runs within Push and Flush.
func (r *session) takeFrame(s *sender, f rtpvp8.Frame) {
	now := r.now()
	at := r.elapsed(now)
	s.frames++
	s.width, s.height = f.Width, f.Height
	if f.Key {
		s.keyFrames++
		r.keyFrameTill = 0
	}
	delay := r.measureDelay(s, f.Timestamp, now)
	info, err := checkFrame(f.Bytes)
	if err != nil {
		s.brokenFrames++
	} else {
		s.quantizer = info.quantizer
	}
	// After one that no decoder can read, a decoder could only show rubbish until the next key frame.
	s.broken = err != nil || s.broken && !f.Key
	bad := f.Damaged || s.broken
	switch {
	case bad:
		s.damaged++
	case info.shown:
		s.freeze.end(s, at)
		s.goodFrameAt, s.hasGoodFrame = at, true
	}
	out := stream.Frame{
		Bytes: f.Bytes, Timestamp: f.Timestamp, Key: f.Key, Damaged: bad, Width: f.Width, Height: f.Height, At: now,
	}
	if delay != nil {
		out.CapturedAt = now.Add(-*delay)
	}
	for _, sink := range r.sinks {
		sink.TakeFrame(out)
	}
}

// takeRTCP takes one datagram, usually a compound packet; b is the caller's.
func (r *session) takeRTCP(b []byte, from netip.AddrPort, now time.Time) (ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return true
	}
	b, ok := r.srtp.openRTCP(b)
	if !ok {
		r.stats.Forged++
		return false
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		r.stats.Malformed++
		return false
	}
	at := r.elapsed(now)
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			r.takeSenderReport(p, from, at)
		case *rtcp.Goodbye:
			r.takeBye(p, from, at)
		case *rtcp.ExtendedReport:
			r.takeExtendedReport(p, from, at)
		}
	}
	return false
}

// An earlyReport came before the first packets of its source.
type earlyReport struct {
	report rtcp.SenderReport
	from   netip.AddrPort // with its zone: replies go there
	at     time.Duration
}

// earlyReportsMax is bounded, since anybody may send some.
const earlyReportsMax = 4

// takeSenderReport takes a report of the source, or keeps one of a source that may begin.
func (r *session) takeSenderReport(p *rtcp.SenderReport, from netip.AddrPort, now time.Duration) {
	address := plain(from.Addr())
	switch {
	case r.isOurRTCP(address, p.SSRC, now):
		r.applySenderReport(*p, from, now)
	case r.srtp == nil && r.latch.rankOf(address, p.SSRC) == rankNone:
		r.leaveOut(arrival{from: netip.AddrPortFrom(address, from.Port()), ssrc: p.SSRC, at: now})
	case r.sender != nil && r.sender.ssrc == p.SSRC, r.sender != nil && !r.latch.isGone(now):
		r.stats.Foreign++
	default:
		if len(r.earlyReports) == earlyReportsMax {
			r.earlyReports = r.earlyReports[1:]
		}
		r.earlyReports = append(r.earlyReports, earlyReport{*p, from, now})
	}
}

// isOurRTCP says whether RTCP is about the source. SRTCP proves that by itself.
func (r *session) isOurRTCP(from netip.Addr, ssrc uint32, now time.Duration) bool {
	if r.sender == nil || r.sender.ssrc != ssrc {
		return false
	}
	return r.srtp != nil || r.latch.isOurReport(from, ssrc, now)
}

func (r *session) applySenderReport(p rtcp.SenderReport, from netip.AddrPort, at time.Duration) {
	s := r.sender
	r.stats.SenderReports++
	r.replyTo = from
	s.reportMiddle, s.reportAt = uint32(p.NTPTime>>16), at
	r.latch.reportAt = at
	s.delay.takeReport(p.NTPTime, p.RTPTime, at)
}

// takeExtendedReport takes the answer to our reference time.
func (r *session) takeExtendedReport(p *rtcp.ExtendedReport, from netip.AddrPort, now time.Duration) {
	if !r.isOurRTCP(plain(from.Addr()), p.SenderSSRC, now) {
		return
	}
	for _, block := range p.Reports {
		answers, ok := block.(*rtcp.DLRRReportBlock)
		if !ok {
			continue
		}
		for _, a := range answers.Reports {
			if a.SSRC == r.ssrc {
				r.sender.trip.noteAnswer(a, r.referenceAt(now), now)
			}
		}
	}
}

// takeBye notes a BYE. It is believed once nothing has come after it for byeSilence: anybody
// can write one, but nobody else can make the source fall silent.
func (r *session) takeBye(p *rtcp.Goodbye, from netip.AddrPort, now time.Duration) {
	for _, ssrc := range p.Sources {
		if r.isOurRTCP(plain(from.Addr()), ssrc, now) {
			r.latch.takeBye(now)
		} else {
			r.stats.Foreign++
		}
	}
}

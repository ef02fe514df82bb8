// What goes back to the sender: receiver reports by RFC 3550's timing, NACK for packets that
// are missing, PLI while frames cannot be decoded, BYE at the end.

package receiver

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/pion/rtcp"
)

const (
	// RFC 3550 section 6.2: 5 s, or in a unicast session 360 s divided by the session
	// bandwidth in kbit/s, which may be less.
	reportIntervalMin = 5 * time.Second
	reducedSeconds    = 360.0

	// A fast stream does not get a report for each frame.
	reportIntervalFloor = 500 * time.Millisecond

	// RFC 3550 section 6.2: in a unicast session the first report may go at once. This leaves it
	// some packets to report on. The sender learns 1 to 3 s sooner than by half of reportIntervalMin
	// that it is received; a board that tries an update waits for that.
	firstReportDelay = 500 * time.Millisecond

	// RFC 3550 section 6.2: 5 % of the bandwidth is for RTCP, 3/4 of that for receivers;
	// there are two members, and a report of ours has 32 bytes RR, about 28 bytes SDES, 20 bytes
	// reference time and 28 bytes IPv4 and UDP.
	receiversShare = 0.05 * 0.75
	reportBits     = (32 + 28 + 20 + 28) * 8
	members        = 2

	// A sender answers a PLI within a round trip and a frame; requested more often, it would
	// send key frames for which it has no room.
	pliInterval = 500 * time.Millisecond

	// The first key frame is on its way when its first packet arrives.
	firstPLIDelay = 300 * time.Millisecond
)

// reportInterval is the deterministic interval Td of RFC 3550 section 6.3.1.
func (r *session) reportInterval() time.Duration {
	if r.rate <= 0 {
		return reportIntervalMin
	}
	reduced := time.Duration(reducedSeconds / (r.rate / 1000) * float64(time.Second))
	share := time.Duration(members * reportBits / (r.rate * receiversShare) * float64(time.Second))
	return max(min(reduced, reportIntervalMin), share, reportIntervalFloor)
}

// randomizeInterval is T of RFC 3550 section 6.3.1: half to one and a half of Td, divided by
// e-3/2, which timer reconsideration would make up for. With two members that never change
// there is nothing to reconsider, so only the spread is kept.
func (r *session) randomizeInterval(td time.Duration) time.Duration {
	return time.Duration(float64(td) * (0.5 + r.random()) / (math.E - 1.5))
}

// sendDue gives up gaps that are too old, sends what is due, and ends the second.
func (r *session) sendDue(wall time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	s, now := r.sender, r.elapsed(wall)
	r.strangers.endQuiet(now, r.log)
	if s == nil {
		return
	}
	r.endSecond(now)
	if r.endedByBye(now) {
		return
	}
	if last, any := s.gaps.dropLate(now, gapTimeout); any {
		s.assembler.GiveUp(last)
	}
	s.freeze.notice(s, now)
	r.sendNACK(s, now)
	r.sendFeedback(s, now)
	r.sendReports(s, wall)
}

// sendReports sends RR, and PLI with it, if either is due.
func (r *session) sendReports(s *sender, wall time.Time) {
	now := r.elapsed(wall)
	wantsKeyFrame, reportDue := r.wantsKeyFrame(s, now), now >= r.reportDueAt
	if !r.replyTo.IsValid() || !wantsKeyFrame && !reportDue {
		return
	}
	packets := r.buildReport(wall)
	if wantsKeyFrame {
		s.pliAt = now
		r.stats.PLIs++
		packets = append(packets, &rtcp.PictureLossIndication{SenderSSRC: r.ssrc, MediaSSRC: s.ssrc})
	}
	if reportDue {
		r.measureRate(now)
		r.reportDueAt = now + r.randomizeInterval(r.reportInterval())
	}
	r.stats.Reports++
	r.sendRTCP(packets)
}

// endedByBye says whether the source said BYE, and logs it once.
func (r *session) endedByBye(now time.Duration) bool {
	said := r.latch.hasSaidBye(now)
	if said && !r.sender.byeLogged {
		r.sender.assembler.Flush()
		r.log.Info("receiver: the source said BYE", "ssrc", r.sender.ssrc)
	}
	r.sender.byeLogged = said
	if r.latch.byesIgnored > 0 && !r.sender.ignoredByeLogged {
		r.sender.ignoredByeLogged = true
		r.log.Warn("receiver: a BYE came, but the source goes on: somebody else wrote it",
			"ssrc", r.sender.ssrc)
	}
	return said
}

// keyFramePatience is how long a key frame that somebody asked for is requested again.
const keyFramePatience = 3 * time.Second

// wantsKeyFrame says whether a PLI is due.
func (r *session) wantsKeyFrame(s *sender, now time.Duration) bool {
	if r.keyFrameAsked.Swap(false) {
		r.keyFrameTill = now + keyFramePatience
	}
	wanted := s.broken || s.assembler.WaitsForKeyFrame() || now < r.keyFrameTill
	return wanted && s.sequence.started && s.isAlive(now) &&
		now-s.beganAt > firstPLIDelay && (s.pliAt == 0 || now-s.pliAt >= pliInterval)
}

// sendNACK requests what is missing. The report before it is empty: one with figures would
// count "fraction lost" over a few packets.
func (r *session) sendNACK(s *sender, now time.Duration) {
	if !r.replyTo.IsValid() || !s.isAlive(now) {
		return
	}
	r.rtcpScratch = s.gaps.takeDue(r.rtcpScratch[:0], now)
	due := r.rtcpScratch
	if len(due) == 0 {
		return
	}
	s.nacks += uint64(len(due))
	nack := &rtcp.TransportLayerNack{
		SenderSSRC: r.ssrc, MediaSSRC: s.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(due),
	}
	r.sendRTCP([]rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: r.ssrc}, rtcp.NewCNAMESourceDescription(r.ssrc, r.cname), nack,
	})
}

// measureRate sets the session bandwidth to what came since the last time.
func (r *session) measureRate(now time.Duration) {
	elapsed := (now - r.rateAt).Seconds()
	if elapsed <= 0 {
		return
	}
	r.rate = float64(r.sender.bytes-min(r.rateBytes, r.sender.bytes)) * 8 / elapsed
	r.rateAt, r.rateBytes = now, r.sender.bytes
}

// buildReport makes RR and SDES, with which every compound packet begins (RFC 3550 6.1), and our
// reference time, by whose answer the round trip is known (RFC 3611 section 4.4).
func (r *session) buildReport(wall time.Time) []rtcp.Packet {
	now := r.elapsed(wall)
	rr := &rtcp.ReceiverReport{SSRC: r.ssrc}
	if s := r.sender; s != nil && s.sequence.started {
		fraction, lost, highest := s.sequence.endInterval()
		block := rtcp.ReceptionReport{
			SSRC: s.ssrc, FractionLost: fraction, TotalLost: lost, LastSequenceNumber: highest,
			Jitter: uint32(s.sequence.jitter), LastSenderReport: s.reportMiddle,
		}
		if s.reportMiddle != 0 {
			block.Delay = delaySince(s.reportAt, now)
		}
		rr.Reports = []rtcp.ReceptionReport{block}
	}
	reference := referenceTime(r.ssrc, r.referenceAt(now))
	return []rtcp.Packet{rr, rtcp.NewCNAMESourceDescription(r.ssrc, r.cname), &reference}
}

// delaySince is DLSR, in 1/65536 s (RFC 3550 section 6.4.1). A report that came after now was read is one of
// this moment; an old one has waited for what 32 bits hold at most.
func delaySince(reportAt, now time.Duration) uint32 {
	return uint32(min(max((now-reportAt).Seconds()*65536, 0), math.MaxUint32))
}

// referenceAt is what the session calls the time in reference times: a clock that nobody sets, from the
// wall's at its beginning.
func (r *session) referenceAt(elapsed time.Duration) uint64 { return ntpOf(r.origin.Add(elapsed)) }

// referenceTime is an extended report with one block (RFC 3611 sections 2 and 4.4). pion writes the same
// by reflection, which took a quarter of the time for reports.
func referenceTime(ssrc uint32, ntp uint64) rtcp.RawPacket {
	const words, blockType, blockWords = 4, 4, 2 // behind the first, of both
	b := []byte{2 << 6, byte(rtcp.TypeExtendedReport), 0, words}
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = append(b, blockType, 0, 0, blockWords)
	return binary.BigEndian.AppendUint64(b, ntp)
}

// sendBye is for the end of a grant, while the sender may still listen.
func (r *session) sendBye(wall time.Time) {
	if !r.replyTo.IsValid() || r.sender == nil || r.latch.hasSaidBye(r.elapsed(wall)) {
		return
	}
	r.sendRTCP(append(r.buildReport(wall), &rtcp.Goodbye{Sources: []uint32{r.ssrc}}))
}

func (r *session) sendRTCP(packets []rtcp.Packet) {
	b, err := rtcp.Marshal(packets)
	if err == nil {
		b, err = r.srtp.sealRTCP(b)
	}
	if err == nil {
		err = r.send(b, r.replyTo)
	}
	if err != nil { // the next report is the retry
		r.log.Debug("receiver: report", "to", r.replyTo.String(), "error", err)
	}
}

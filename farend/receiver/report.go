// What goes back to the sender: receiver reports by RFC 3550's timing, NACK for packets that
// are missing, PLI while frames cannot be decoded, BYE at the end.

package receiver

import (
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
	// there are two members, and a report of ours has 32 bytes RR, about 28 bytes SDES and 28
	// bytes IPv4 and UDP.
	receiversShare = 0.05 * 0.75
	reportBits     = (32 + 28 + 28) * 8
	members        = 2

	// A sender answers a PLI within a round trip and a frame; requested more often, it would
	// send key frames for which it has no room.
	pliInterval = 500 * time.Millisecond

	// The first key frame is on its way when its first packet arrives.
	firstPLIDelay = 300 * time.Millisecond
)

// reportInterval is the deterministic interval Td of RFC 3550 section 6.3.1.
func (r *Receiver) reportInterval() time.Duration {
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
func (r *Receiver) randomizeInterval(td time.Duration) time.Duration {
	return time.Duration(float64(td) * (0.5 + r.config.Random()) / (math.E - 1.5))
}

// sendDue gives up gaps that are too old and sends what is due.
func (r *Receiver) sendDue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, now := r.sender, r.elapsed()
	r.strangers.endQuiet(now, r.config.Log)
	if s == nil || r.endedByBye(now) {
		return
	}
	if last, any := s.gaps.dropLate(now, gapTimeout); any {
		s.assembler.GiveUp(last)
	}
	r.sendNACK(s, now)
	r.sendFeedback(s, now)
	wantsKeyFrame, reportDue := s.wantsKeyFrame(now), now >= r.reportDueAt
	if r.replyTo == nil || !wantsKeyFrame && !reportDue {
		return
	}
	packets := r.buildReport(now)
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
func (r *Receiver) endedByBye(now time.Duration) bool {
	said := r.latch.hasSaidBye(now)
	if said && !r.sender.byeLogged {
		r.sender.assembler.Flush()
		r.config.Log.Info("receiver: the source said BYE", "ssrc", r.sender.ssrc)
	}
	r.sender.byeLogged = said
	if r.latch.byesIgnored > 0 && !r.sender.ignoredByeLogged {
		r.sender.ignoredByeLogged = true
		r.config.Log.Warn("receiver: a BYE came, but the source goes on: somebody else wrote it",
			"ssrc", r.sender.ssrc)
	}
	return said
}

// wantsKeyFrame says whether a PLI is due.
func (s *sender) wantsKeyFrame(now time.Duration) bool {
	return s.sequence.started && s.isAlive(now) && (s.broken || s.assembler.WaitsForKeyFrame()) &&
		now-s.beganAt > firstPLIDelay && (s.pliAt == 0 || now-s.pliAt >= pliInterval)
}

// sendNACK requests what is missing. The report before it is empty: one with figures would
// count "fraction lost" over a few packets.
func (r *Receiver) sendNACK(s *sender, now time.Duration) {
	if r.replyTo == nil || !s.isAlive(now) {
		return
	}
	due := s.gaps.takeDue(now)
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
func (r *Receiver) measureRate(now time.Duration) {
	elapsed := (now - r.rateAt).Seconds()
	if elapsed <= 0 {
		return
	}
	r.rate = float64(r.sender.bytes-min(r.rateBytes, r.sender.bytes)) * 8 / elapsed
	r.rateAt, r.rateBytes = now, r.sender.bytes
}

// buildReport makes RR and SDES, with which every compound packet begins (RFC 3550 6.1).
func (r *Receiver) buildReport(now time.Duration) []rtcp.Packet {
	rr := &rtcp.ReceiverReport{SSRC: r.ssrc}
	if s := r.sender; s != nil && s.sequence.started {
		fraction, lost, highest := s.sequence.endInterval()
		block := rtcp.ReceptionReport{
			SSRC: s.ssrc, FractionLost: fraction, TotalLost: lost, LastSequenceNumber: highest,
			Jitter: uint32(s.sequence.jitter), LastSenderReport: s.reportMiddle,
		}
		if s.reportMiddle != 0 {
			block.Delay = uint32((now - s.reportAt).Seconds() * 65536)
		}
		rr.Reports = []rtcp.ReceptionReport{block}
	}
	return []rtcp.Packet{rr, rtcp.NewCNAMESourceDescription(r.ssrc, r.cname)}
}

// sendBye is for the end of a grant, while the sender may still listen.
func (r *Receiver) sendBye() {
	if r.replyTo == nil || r.sender == nil || r.latch.hasSaidBye(r.elapsed()) {
		return
	}
	r.sendRTCP(append(r.buildReport(r.elapsed()), &rtcp.Goodbye{Sources: []uint32{r.ssrc}}))
}

func (r *Receiver) sendRTCP(packets []rtcp.Packet) {
	b, err := rtcp.Marshal(packets)
	if err == nil {
		b, err = r.srtp.sealRTCP(b)
	}
	if err == nil {
		_, err = r.config.RTCP.WriteTo(b, r.replyTo)
	}
	if err != nil { // the next report is the retry
		r.config.Log.Debug("receiver: report", "to", r.replyTo, "error", err)
	}
}

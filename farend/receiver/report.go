// What goes back to the source: receiver reports by RFC 3550's timing, NACK for packets
// that are missing, PLI while frames cannot be decoded, BYE at the end.

package receiver

import (
	"math"
	"time"

	"github.com/pion/rtcp"
)

const (
	// RFC 3550 section 6.2: 5 s, or in a unicast session 360 s divided by the
	// session bandwidth in kbit/s, which may be less.
	reportMinimum  = 5 * time.Second
	reducedMinimum = 360.0
	// So that a fast stream does not get a report with each frame.
	reportFloor = 500 * time.Millisecond
	// RFC 3550 section 6.2: 5 % of the bandwidth is for RTCP, 3/4 of that for
	// receivers; there are two members, and a report of ours has 32 bytes RR, about
	// 28 bytes SDES and 28 bytes IPv4 and UDP.
	reportShare = 0.05 * 0.75
	reportBits  = (32 + 28 + 28) * 8
	members     = 2

	// A source answers a PLI within a round trip and a frame; asked more often,
	// it sends key frames that it has no room for.
	pliEvery = 500 * time.Millisecond
	// The first key frame is on its way when its first packet arrives.
	pliPatience = 300 * time.Millisecond
)

// interval is the deterministic interval Td of RFC 3550 section 6.3.1.
func (r *Receiver) interval() time.Duration {
	if r.rate <= 0 {
		return reportMinimum
	}
	smallest := time.Duration(reducedMinimum / (r.rate / 1000) * float64(time.Second))
	share := time.Duration(members * reportBits / (r.rate * reportShare) * float64(time.Second))
	return max(min(smallest, reportMinimum), share, reportFloor)
}

// randomized is T of RFC 3550 section 6.3.1: half to one and a half of Td, divided
// by e-3/2, which timer reconsideration would make up for. With two members that
// never change there is nothing to reconsider, so only the spread is kept.
func (r *Receiver) randomized(td time.Duration) time.Duration {
	return time.Duration(float64(td) * (0.5 + r.config.Random()) / (math.E - 1.5))
}

// tick gives up gaps and sends what is due.
func (r *Receiver) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, now := r.source, r.now()
	if s == nil || s.bye {
		return
	}
	if last, any := s.missing.late(now, gapPatience); any {
		s.assembler.GiveUp(last)
	}
	r.ask(s, now)
	r.tell(s, now)
	wanted := s.sequence.started && s.alive(now) && s.assembler.WaitsForKeyFrame() &&
		now-s.began > pliPatience && (s.replyPLI == 0 || now-s.replyPLI >= pliEvery)
	due := now >= r.reportAt
	if r.replyTo == nil || !wanted && !due {
		return
	}
	packets := r.report(now)
	if wanted {
		s.replyPLI = now
		r.stats.PLIs++
		packets = append(packets, &rtcp.PictureLossIndication{SenderSSRC: r.ssrc, MediaSSRC: s.ssrc})
	}
	if due {
		r.measure(now)
		r.reportAt = now + r.randomized(r.interval())
	}
	r.stats.Reports++
	r.send(packets)
}

// ask sends a NACK for what is missing. The report before it is empty, since one with
// figures would make each fraction lost that of a few packets.
func (r *Receiver) ask(s *source, now time.Duration) {
	if r.replyTo == nil || !s.alive(now) {
		return
	}
	due := s.missing.due(now)
	if len(due) == 0 {
		return
	}
	s.nacks += uint64(len(due))
	r.send([]rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: r.ssrc}, rtcp.NewCNAMESourceDescription(r.ssrc, r.cname),
		&rtcp.TransportLayerNack{SenderSSRC: r.ssrc, MediaSSRC: s.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(due)},
	})
}

// measure sets the session bandwidth to what came since the last time.
func (r *Receiver) measure(now time.Duration) {
	elapsed := (now - r.rateAt).Seconds()
	if elapsed <= 0 {
		return
	}
	r.rate = float64(r.source.bytes-min(r.rateOf, r.source.bytes)) * 8 / elapsed
	r.rateAt, r.rateOf = now, r.source.bytes
}

// report is RR and SDES, which every compound packet begins with (RFC 3550 6.1).
func (r *Receiver) report(now time.Duration) []rtcp.Packet {
	rr := &rtcp.ReceiverReport{SSRC: r.ssrc}
	if s := r.source; s != nil && s.sequence.started {
		fraction, lost, highest := s.sequence.report()
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

// sayBye is for the end of a grant, while the source may still listen.
func (r *Receiver) sayBye() {
	if r.replyTo == nil || r.source == nil || r.source.bye {
		return
	}
	r.send(append(r.report(r.now()), &rtcp.Goodbye{Sources: []uint32{r.ssrc}}))
}

func (r *Receiver) send(packets []rtcp.Packet) {
	b, err := rtcp.Marshal(packets)
	if err == nil {
		b, err = r.cloak.sealRTCP(b)
	}
	if err == nil {
		_, err = r.config.RTCP.WriteTo(b, r.replyTo)
	}
	if err != nil { // the next report is the retry
		r.config.Log.Debug("receiver: report", "to", r.replyTo, "err", err)
	}
}

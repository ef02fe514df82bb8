// RTCP out: SR+SDES with the first frame and then by RFC 3550's rules, BYE at the end.
// Spec: RFC 3550 sections 6.1 to 6.6, RFC 3611 (XR).

package rtpsend

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/pion/rtcp"
)

// startReports sends the first report with the first frame: a receiver maps RTP time
// from the start, and one that learns our RTCP address from it can ask for key frames.
// Section 6.2 allows unicast to begin without delay. The goroutines begin here, too: before,
// there is nothing to answer. sending is held.
func (s *Sender) startReports(log *pendingLog) {
	s.sendReport(nil, log)
	s.mu.Lock()
	s.session.StartReports(s.cfg.Monotonic())
	s.mu.Unlock()
	s.running.Add(2)
	go s.exchangeRTCP()
	if s.echo != nil {
		s.askForEcho() // before the stream can make a queue
		s.running.Add(1)
		go s.exchangeEchoes()
	}
	go s.runPump()
}

// referenceMax is how long a reference time is worth an echo: at the longest interval of reports the next
// one leaves before that. It also keeps the delay within its field.
const referenceMax = time.Minute

// sayBye ends the session for the receiver: SR or RR, SDES, BYE.
func (s *Sender) sayBye(log *pendingLog) {
	s.sendReport(&rtcp.Goodbye{Sources: []uint32{s.SSRC()}}, log)
}

// sendReport sends a compound packet. After one with bye nothing may follow, so later
// ones are not sent.
func (s *Sender) sendReport(bye *rtcp.Goodbye, log *pendingLog) {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	if s.closed.Load() && bye == nil {
		return
	}
	b, err := s.compoundReport(bye)
	if err == nil && s.cfg.srtp != nil {
		b, err = s.cfg.srtp.encryptRTCP(b)
	}
	if err == nil {
		err = s.reports.Send(b)
	} else { // not by any input that complete lets through
		log.addLine(slog.LevelError, "no RTCP report", "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.ReportErrors.CountError(err)
		return
	}
	s.stats.ReportsSent++
	s.session.NoteReportSent(len(b))
}

// compoundReport makes the packet: what it says of time and counts is of this moment.
func (s *Sender) compoundReport(bye *rtcp.Goodbye) ([]byte, error) {
	packets := []rtcp.Packet{s.reportHead(), &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: s.SSRC(),
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: s.cfg.CNAME}},
	}}}}
	if echo := s.takeReference(); echo != nil {
		packets = append(packets, echo)
	}
	if bye != nil {
		packets = append(packets, bye)
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		return nil, fmt.Errorf("rtpsend: write RTCP of %d parts: %w", len(packets), err)
	}
	return b, nil
}

// takeReference echoes the receiver's reference time with how long it was kept here, nil if none came
// since the last report. Spec: RFC 3611 section 4.5.
func (s *Sender) takeReference() rtcp.Packet {
	now := s.cfg.Monotonic()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.inbox.reference
	s.inbox.reference = reference{}
	if !r.any || now-r.at > referenceMax {
		return nil
	}
	kept := uint32((now - r.at).Seconds() * 65536)
	return &rtcp.ExtendedReport{SenderSSRC: s.SSRC(), Reports: []rtcp.ReportBlock{
		&rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{{SSRC: r.sender, LastRR: r.time, DLRR: kept}}},
	}}
}

// reportHead is an SR, or an empty RR where no packet left lately.
func (s *Sender) reportHead() rtcp.Packet {
	now, wall := s.cfg.Monotonic(), s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.session.BeginReport(now, wall, s.stats.Packets)
	if !ok {
		return &rtcp.ReceiverReport{SSRC: s.SSRC()}
	}
	return &rtcp.SenderReport{
		SSRC: s.SSRC(), NTPTime: t.NTP, RTPTime: t.RTP,
		PacketCount: uint32(s.stats.Packets), OctetCount: uint32(s.stats.Octets),
	}
}

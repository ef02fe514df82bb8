// RTCP out: SR+SDES at once and then by RFC 3550's rules, BYE at the end.
// The goroutine that also reads what comes in. Spec: RFC 3550 sections 6.1 to 6.5.

package rtpsend

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/pion/rtcp"
)

// receivePause keeps a socket that fails at once from taking the processor.
const receivePause = 100 * time.Millisecond

// lookEvery is how often the receiver's silence is looked at.
const lookEvery = 500 * time.Millisecond

// startReports sends the first report with the first frame: a receiver maps RTP time
// from the start, and one that learns our RTCP address from it can ask for key frames.
// Section 6.2 allows unicast to begin without delay. sending is held.
func (s *Sender) startReports() {
	s.sendReport(nil)
	s.mu.Lock()
	s.session.StartReports(s.cfg.Monotonic())
	s.mu.Unlock()
	s.running.Add(2)
	go s.run()
	if s.echo != nil {
		s.askForEcho() // before the stream can make a queue
		s.running.Add(1)
		go s.exchangeEchoes()
	}
	go s.pump()
}

// run reads RTCP until Close; the wait for it ends when a report is due.
func (s *Sender) run() {
	defer s.running.Done()
	for s.step() {
	}
}

// step waits for one packet or for the next report; false: closed.
func (s *Sender) step() bool {
	s.mu.Lock()
	wait := min(s.session.ReportWait(s.cfg.Monotonic()), lookEvery)
	s.mu.Unlock()
	n, from, err := s.reports.Receive(s.in[:], wait)
	switch {
	case err == nil:
		s.receive(s.in[:n], from)
	case errors.Is(err, os.ErrDeadlineExceeded):
	case errors.Is(err, net.ErrClosed):
		return false
	default:
		s.mu.Lock()
		s.stats.ReceiveErrors++
		s.mu.Unlock()
		select {
		case <-s.done:
		case <-time.After(receivePause):
		}
	}
	s.mu.Lock()
	now := s.cfg.Monotonic()
	due := s.session.TakeReport(now)
	doubtful := s.session.RaiseDoubt(now)
	s.mu.Unlock()
	if doubtful {
		s.cfg.Doubt()
	}
	if due {
		s.sendReport(nil)
	}
	return true
}

// sayBye ends the session for the receiver: SR or RR, SDES, BYE.
func (s *Sender) sayBye() {
	s.sendReport(&rtcp.Goodbye{Sources: []uint32{s.SSRC()}})
}

// sendReport sends a compound packet. After one with bye nothing may follow, so later
// ones are not sent.
func (s *Sender) sendReport(bye *rtcp.Goodbye) {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	if s.closed.Load() && bye == nil {
		return
	}
	b, err := s.compound(bye)
	if err == nil && s.cfg.cloak != nil {
		b, err = s.cfg.cloak.sealRTCP(b)
	}
	if err == nil {
		err = s.reports.Send(b)
	} else { // not by any input that complete lets through
		s.cfg.Log.Error("no RTCP report", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.ReportErrors.Count(err)
		return
	}
	s.stats.ReportsSent++
	s.session.NoteReportSent(len(b))
}

// compound makes the packet: what it says of time and counts is of this moment.
func (s *Sender) compound(bye *rtcp.Goodbye) ([]byte, error) {
	packets := []rtcp.Packet{s.head(), &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: s.SSRC(),
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: s.cfg.CNAME}},
	}}}}
	if bye != nil {
		packets = append(packets, bye)
	}
	b, err := rtcp.Marshal(packets)
	if err != nil {
		return nil, fmt.Errorf("rtpsend: write RTCP of %d parts: %w", len(packets), err)
	}
	return b, nil
}

// head is an SR, or an empty RR where no packet left lately.
func (s *Sender) head() rtcp.Packet {
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

// What comes from the network: RTP and RTCP of a stranger until the SSRC is
// learned, and not to be trusted then either.

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
	if !r.begun {
		r.stats.Unasked++
		return
	}
	size := len(b)
	b, ok, again := r.cloak.openRTP(b)
	switch {
	case again:
		r.stats.Again++
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
	now := r.now()
	s := r.sourceOf(p.SSRC, now)
	if s == nil || s.sequence.started && p.PayloadType != s.payloadType {
		r.stats.Foreign++
		return
	}
	if !s.sequence.started {
		s.payloadType, s.began = p.PayloadType, now
	}
	started, highest := s.sequence.started, s.sequence.highest
	if !s.sequence.take(p.SequenceNumber) {
		r.stats.Foreign++
		return
	}
	if started && s.missing.arrived(p.SequenceNumber, highest, now) {
		s.healed++
	}
	s.packetAt = now
	s.arrivals.note(&p, r.ssrc, now)
	s.bytes += uint64(size)
	s.sequence.arrived(ticks(now), p.Timestamp)
	// The Assembler counts what it cannot read; there is nobody to tell.
	_ = s.assembler.Push(p.SequenceNumber, p.Timestamp, p.Marker, p.Payload)
}

// sourceOf gives the source of ssrc: the one we have, or a new one if there is none
// or it is gone. Nil: another one is alive.
func (r *Receiver) sourceOf(ssrc uint32, now time.Duration) *source {
	s := r.source
	switch {
	case s != nil && s.ssrc == ssrc && !s.bye:
		return s
	case s != nil && s.ssrc == ssrc: // what was on its way when it said BYE
		return nil
	case s != nil && s.alive(now):
		return nil
	}
	r.drop()
	s = &source{ssrc: ssrc, packetAt: now, began: now}
	s.assembler = rtpvp8.NewAssembler(reorder, func(f rtpvp8.Frame) { r.takeFrame(s, f) })
	r.rate, r.rateOf, r.rateAt = 0, 0, now
	r.source, r.reportAt = s, now+r.randomized(r.interval()/2) // RFC 3550 6.2: half of it before the first
	return s
}

// takeFrame counts and records a whole frame. It runs within Push and Flush.
func (r *Receiver) takeFrame(s *source, f rtpvp8.Frame) {
	now := r.now()
	s.frames++
	s.width, s.height = f.Width, f.Height
	if f.Key {
		s.keyFrames++
	}
	if d, known := s.delay.of(f.Timestamp, now); known {
		s.delays += d
		s.delayed++
	}
	if f.Damaged { // a decoder could only show rubbish until the next key frame
		s.damaged++
		return
	}
	s.goodAt, s.good = now, true
	if r.config.IVFDir == "" || r.problem != nil {
		return
	}
	if err := r.keep(s, f); err != nil {
		r.failRecord(err)
	}
}

func (r *Receiver) keep(s *source, f rtpvp8.Frame) (err error) {
	if s.record == nil { // f is a key frame: all before it are damaged
		name := fmt.Sprintf("%s-%08x.ivf", r.config.Now().UTC().Format("20060102-150405.000"), s.ssrc)
		if s.record, err = createIVF(filepath.Join(r.config.IVFDir, name), f.Width, f.Height); err != nil {
			return err
		}
	}
	return s.record.write(f.Bytes, f.Timestamp)
}

// takeRTCP takes one datagram, usually a compound packet; b is the caller's.
func (r *Receiver) takeRTCP(b []byte, from net.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun {
		r.stats.Unasked++
		return
	}
	b, ok := r.cloak.openRTCP(b)
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
	now := r.now()
	s := r.sourceOf(p.SSRC, now)
	if s == nil {
		r.stats.Foreign++
		return
	}
	r.stats.SenderReports++
	r.replyTo = from
	s.reportMiddle, s.reportAt = uint32(p.NTPTime>>16), now
	s.delay.report(p.NTPTime, p.RTPTime, now)
}

func (r *Receiver) takeBye(p *rtcp.Goodbye) {
	for _, ssrc := range p.Sources {
		if r.source != nil && r.source.ssrc == ssrc {
			r.source.assembler.Flush()
			r.source.bye = true
			r.config.Log.Info("receiver: the source said BYE", "ssrc", ssrc, "reason", fmt.Sprintf("%.60q", p.Reason))
		}
	}
}

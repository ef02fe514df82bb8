// The numbers that are shown.

package receiver

import (
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// state is one of stream's States.
func (r *session) state(now time.Duration) string {
	s := r.sender
	switch {
	case s == nil && r.latch.held: // the stream is over
		return stream.StateSilent
	case s == nil:
		return stream.StateWaiting
	case r.latch.hasSaidBye(now), now-s.packetAt >= senderTimeout:
		return stream.StateSilent
	case s.hasGoodFrame && now-s.goodFrameAt < senderTimeout:
		return stream.StateStreaming
	case s.hasGoodFrame, s.brokenFrames > 0, s.assembler.Counters().Malformed > 0:
		return stream.StateDamaged
	}
	return stream.StateNoKeyFrame
}

// A second is the last whole one, in figures. The zero value has none.
type second struct {
	beganAt time.Duration
	before  counts // at its begin

	fps, bitrate, loss float64
	delay              time.Duration
	delayBy            string
	delayKnown         bool
}

// counts are those of which rates are shown.
type counts struct {
	frames, bytes, expected, came uint64
	delaySum                      time.Duration
	delayCount                    uint64
}

func (s *sender) counts() counts {
	return counts{
		frames: s.frames, bytes: s.bytes, expected: s.sequence.expectedCount(),
		came:     s.packets - min(s.healed, s.packets), // before resends
		delaySum: s.delaySum, delayCount: s.delayCount,
	}
}

// begin begins the first second of a sender.
func (t *second) begin(now time.Duration) { *t = second{beganAt: now} }

// endSecond makes figures of the second that is over, if it is.
func (r *session) endSecond(now time.Duration) {
	t, took := &r.second, now-r.second.beganAt
	if took < time.Second {
		return
	}
	c, before := r.sender.counts(), t.before
	t.fps = float64(c.frames-before.frames) / took.Seconds()
	t.bitrate = float64(c.bytes-before.bytes) * 8 / took.Seconds()
	t.loss = 0
	expected, came := c.expected-before.expected, int64(c.came)-int64(before.came)
	if lost := int64(expected) - came; lost > 0 && expected > 0 {
		t.loss = min(float64(lost)/float64(expected), 1)
	}
	n := c.delayCount - before.delayCount
	if t.delayKnown = n > 0; t.delayKnown {
		t.delay = (c.delaySum - before.delaySum) / time.Duration(n)
	}
	t.delayBy = r.sender.delayBy
	t.beganAt, t.before = now, c
}

// measureDelay gives the delay of a frame that is whole now; nil: not known.
func (r *session) measureDelay(s *sender, timestamp uint32, now time.Time) *time.Duration {
	at := r.elapsed(now)
	byReports, reported := s.delay.delayOf(timestamp, at)
	ntp := s.captures.find(timestamp)
	var byClock time.Duration
	if ntp != 0 {
		byClock = ntpSince(ntpOf(now), ntp)
	}
	d, by := judgeDelay(byClock, byReports, ntp != 0, reported, s.trip.value(at))
	s.delayBy = by
	if by == stream.DelayUnknown || by == stream.DelayUnsynced {
		return nil
	}
	s.delaySum += d
	s.delayCount++
	s.lastDelay = d
	return &s.lastDelay
}

// statsNow may be called at any time, also after the end.
func (r *session) statsNow() stream.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, now := r.stats, r.elapsed(r.now())
	t.State = r.state(now)
	t.ByesIgnored += r.latch.byesIgnored
	t.SSRC = r.latch.announced
	if r.latch.held {
		t.Address, t.SSRC = r.latch.from, r.latch.ssrc
	}
	if r.strangers.present {
		t.Stranger = r.strangers.first
	}
	if s := r.sender; s != nil {
		s.addStats(&t)
		r.second.addTo(&t, now-s.packetAt < senderTimeout)
		t.Quantizer, t.FrozenNow = s.quantizer, s.freeze.now
		if trip := s.trip.value(now); trip > 0 {
			t.RTT = &trip
		}
	}
	t.Records, t.Problem = r.reports()
	return t
}

// addTo gives the figures of the last whole second of a source that sends.
func (t *second) addTo(to *stream.Stats, sends bool) {
	to.DelayBy = t.delayBy
	if !sends {
		return
	}
	to.FPS, to.Bitrate, to.Loss = t.fps, t.bitrate, t.loss
	if t.delayKnown {
		delay := t.delay
		to.Delay = &delay
	}
}

// reports are what the sinks say: files that are written now, and why something is not.
func (r *session) reports() (records []string, problem string) {
	for _, sink := range r.sinks {
		reporter, ok := sink.(stream.Reporter)
		if !ok {
			continue
		}
		record, p := reporter.Report()
		if record != "" {
			records = append(records, record)
		}
		if problem == "" {
			problem = p
		}
	}
	return records, problem
}

// addStats adds what this sender counted.
func (s *sender) addStats(t *stream.Stats) {
	c := s.assembler.Counters()
	t.Packets += s.packets
	t.Bytes += s.bytes
	t.Expected += s.sequence.expectedCount()
	t.Lost += s.sequence.lostCount()
	t.Reordered += s.sequence.reordered
	t.Duplicates += s.duplicates
	t.Resent += s.resent
	t.Healed += s.healed
	t.NACKs += s.nacks
	t.Feedback += s.feedback
	t.Frames += s.frames
	t.KeyFrames += s.keyFrames
	t.Damaged += s.damaged
	t.Broken += s.brokenFrames
	t.LostFrames += c.Lost
	t.Malformed += c.Malformed + c.Oversized
	t.Freezes += s.freeze.count
	t.Active += s.active
	t.DelaySum += s.delaySum
	t.DelayCount += s.delayCount
	t.Width, t.Height = s.width, s.height
	t.Jitter = time.Duration(s.sequence.jitter * float64(time.Second) / clockRate)
}

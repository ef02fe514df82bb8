package session

import (
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
)

const ms = time.Millisecond

func newSession() Session {
	return New(Config{Bandwidth: 600_000, HeaderSize: 28, Timestamp: 1000, Random: func() float64 { return 0.5 }})
}

func TestFramesHaveTheTimeSinceTheFirstOne(t *testing.T) {
	s := newSession()
	if s.IsStarted() || s.IsFlowing() {
		t.Error("the stream flows before its first frame")
	}
	for i, captured := range []time.Duration{500 * ms, 600 * ms, 550 * ms} {
		f := s.BeginFrame(time.Second, captured)
		if want := uint32(1000 + 90*(captured-500*ms)/ms); f.Timestamp != want || f.First != (i == 0) ||
			f.Withheld || f.Resumed {
			t.Errorf("frame %d: %+v, want timestamp %d", i, f, want)
		}
	}
	if !s.IsFlowing() {
		t.Error("the stream does not flow")
	}
}

func TestGoodbyeLeavesUsAloneUntilTheReceiverIsHeardAgain(t *testing.T) {
	s := newSession()
	for _, c := range []struct {
		what string
		do   func()
		want int
	}{
		{"at the start", func() {}, 1},
		{"with a report", func() { s.NoteHeard(time.Second, 100) }, 2},
		{"with BYE", func() { s.NoteHeard(time.Second, 100); s.NoteGoodbye() }, 1},
		{"heard again", func() { s.NoteHeard(time.Second, 100) }, 2},
	} {
		if c.do(); s.members.members != c.want {
			t.Errorf("%s: %d members, want %d", c.what, s.members.members, c.want)
		}
	}
}

func TestSilenceEndsTheFlowAndAWordResumesIt(t *testing.T) {
	s := newSession()
	s.BeginFrame(0, 0)
	s.NoteHeard(0, 100)
	s.NoteReport(0, &feedback.Report{}, 1, 1000)
	now := breakerSilence + 1
	if f := s.BeginFrame(now, now); f.Fault != Silent || f.Pause != firstPause || !f.Withheld || s.IsFlowing() {
		t.Errorf("after %v of silence: %+v", now, f)
	}
	if f := s.BeginFrame(now+ms, now); f.Fault != NoFault || !f.Withheld {
		t.Errorf("in the pause: %+v, want a frame withheld and no new fault", f)
	}
	if got := s.Silence(now); got != now {
		t.Errorf("silence of %v, want %v", got, now)
	}
	s.NoteHeard(now+2*ms, 100)
	if f := s.BeginFrame(now+3*ms, now); f.Withheld || !f.Resumed || f.First {
		t.Errorf("after a word: %+v", f)
	}
	if f := s.BeginFrame(now+4*ms, now); f.Resumed {
		t.Error("the stream resumes twice")
	}
}

func TestReportsAreOfASenderWhilePacketsLeave(t *testing.T) {
	s := newSession()
	s.BeginFrame(0, 0)
	wall := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		packets uint64
		want    bool
	}{{0, false}, {5, true}, {5, true}, {5, false}, {6, true}} {
		at, ok := s.BeginReport(time.Duration(i)*time.Second, wall, c.packets)
		if ok != c.want || ok && (at.RTP != uint32(1000+90_000*i) || at.NTP != NTP(wall)) {
			t.Errorf("report %d: %+v, of a sender: %v, want %v", i, at, ok, c.want)
		}
	}
}

func TestRoundTripIsThatOfTheReportThatIsNamed(t *testing.T) {
	s := newSession()
	at, _ := s.BeginReport(time.Second, time.Unix(0, 0), 1)
	for _, c := range []struct {
		what   string
		report feedback.Report
		want   time.Duration
	}{
		{"no SR has come", feedback.Report{}, 0},
		{"one that was never sent", feedback.Report{LastSR: middle(at.NTP) + 1}, 0},
		{"kept for 60 ms", feedback.Report{LastSR: middle(at.NTP), Delay: 65536 * 60 / 1000}, 40 * ms},
		{"no SR has come, again", feedback.Report{}, 40 * ms},
	} {
		s.NoteReport(1100*ms, &c.report, 1, 1000)
		if got := s.RoundTrip(); (got - c.want).Abs() > ms/10 {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

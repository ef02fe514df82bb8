// The record in plain time. What a Path hears of a whole stream is tested in rtpsend.

package departures

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/feedback"
)

const ms = time.Millisecond

// first is a variable, so that adding to it wraps.
var first uint16 = 65534

// notebook is a Path that writes down what it hears of arrivals.
type notebook struct {
	noPath
	lines []string
}

func (n *notebook) NoteArrival(sent, _ time.Duration, _ int) {
	n.lines = append(n.lines, fmt.Sprintf("%v arrived", sent))
}

func (n *notebook) NoteMissing(_, sent time.Duration) {
	n.lines = append(n.lines, fmt.Sprintf("%v is missing", sent))
}

// note hands feedback to r at now about packets from base on; each arrived or did not.
func note(t *testing.T, r *Record, now time.Duration, base uint16, arrived ...bool) {
	t.Helper()
	b := []byte{0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, byte(base >> 8), byte(base), 0, byte(len(arrived)), 0, 0, 1, 0}
	chunk, deltas := uint16(0x8000), []byte(nil) // a vector of one bit each
	for i, a := range arrived {
		if a {
			chunk |= 1 << (13 - i)
			deltas = append(deltas, 4)
		}
	}
	b = append(append(b, byte(chunk>>8), byte(chunk)), deltas...)
	m, ok := feedback.Parse(b)
	if !ok || !r.NoteArrivals(now, &m.Arrived) {
		t.Fatalf("% x is no feedback", b)
	}
}

// sent is a record of n packets of media, one each 20 ms from 0 on.
func sent(n uint16, path Path) *Record {
	r := NewRecord(path)
	for i := range n {
		r.NoteMedia(time.Duration(i)*20*ms, 1000, 900, first+i)
	}
	return r
}

func TestArrivalsGoOnWhereTheReferenceTimeBeginsAnew(t *testing.T) {
	r := NewRecord(nil)
	const period = 1 << 24 * 64 * time.Millisecond
	const half, s = period / 2, time.Second
	wants := []time.Duration{-half + s, half - s, half, half + s}
	for i, at := range []time.Duration{-half + s, half - s, -half, -half + s} {
		got := r.unwrapArrival(at)
		if want := wants[i]; got != want {
			t.Errorf("arrival %d: %v becomes %v, want %v", i, at, got, want)
		}
	}
}

// Under SRTP an answer bears the number of the packet's first time: that it arrives does not make
// the first time less lost.
func TestAnswerThatArrivesIsNoArrivalOfTheFirstTime(t *testing.T) {
	for name, answered := range map[string]bool{"late after all": false, "the answer": true} {
		path := &notebook{}
		r := sent(3, path)
		note(t, r, 100*ms, 0, true, false, true)
		lost := r.lossShare
		if answered {
			r.NoteAnswer(first + 1)
			r.NoteVerbatim(120*ms, 1000)
		}
		lines := slices.Clone(path.lines)
		note(t, r, 200*ms, 1, true)
		if lost == 0 || answered != (r.lossShare == lost) {
			t.Errorf("%s: a share of %v is lost, %v before", name, r.lossShare, lost)
		}
		if got := path.lines[len(lines):]; answered != (len(got) == 0) {
			t.Errorf("%s: the path heard %q", name, got)
		}
	}
}

func TestOnlyPacketsBehindThoseThatArrivedAreQueued(t *testing.T) {
	r := sent(10, nil)
	note(t, r, 30*ms, 0, true, true)
	if r.IsQueued(200*ms, first+8) {
		t.Error("a packet is queued on an empty path")
	}
	note(t, r, 240*ms, 2, true, false, true) // 160 ms after the newest of them left
	for i, want := range []bool{false, false, false, false, false, true, true, true, true, true, false} {
		if got := r.IsQueued(250*ms, first+uint16(i)); got != want {
			t.Errorf("packet %d is queued: %v, want %v", i, got, want)
		}
	}
	if r.IsQueued(240*ms+feedbackTimeout, first+8) {
		t.Error("a packet is queued by the word of a receiver that is gone")
	}
}

func TestLossIsByChanceBetweenItsBoundsAndWithoutAQueue(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  int // one packet of so many is asked for; 0: none
		echoes []time.Duration
		asked  bool
		want   bool
	}{
		{"nothing lost", 0, nil, false, false},
		{"nothing lost so far, and now a request", 0, nil, true, true},
		{"1 in 200", 200, nil, false, false},
		{"1 in 50", 50, nil, false, true},
		{"1 in 4", 4, nil, true, false},
		{"1 in 50, one late echo", 50, []time.Duration{20 * ms, 200 * ms}, false, true},
		{"1 in 50, two late echoes", 50, []time.Duration{20 * ms, 200 * ms, 200 * ms}, false, false},
	} {
		r := NewRecord(nil)
		now := time.Duration(0)
		for i := range uint16(3000) {
			now += 20 * ms
			r.NoteMedia(now, 1000, 900, i)
			if c.every > 0 && int(i)%c.every == 0 {
				if age, ok := r.NoteRequest(now, 0, i); !ok || age != 0 {
					t.Fatalf("%s: packet %d is %v old, %v", c.name, i, age, ok)
				}
			}
		}
		for _, took := range c.echoes {
			now += 100 * ms
			r.NoteEcho(now, now-took, 0)
		}
		if got := r.LosesByChance(now, c.asked); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

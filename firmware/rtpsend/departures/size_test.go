package departures

import (
	"testing"
	"time"
)

// smallerPath counts how often it hears that packets are smaller from now on.
type smallerPath struct {
	noPath
	heard int
}

func (p *smallerPath) NoteSmallerPackets(time.Duration) { p.heard++ }

// A frame of one small packet each 33 ms, and six large ones behind every tenth. The receiver reports
// the small ones alone and says nothing of the large ones, as GStreamer does where they are lost between
// two messages.
func TestPacketsThatFeedbackLeavesOutAreLost(t *testing.T) {
	for _, arrive := range []bool{false, true} {
		path := &smallerPath{}
		r := NewRecord(path)
		found := 0
		for i := range 150 {
			now := time.Duration(i+1) * 33 * ms
			base := uint16(r.next)
			r.NoteMedia(now, 500, 400, base)
			n := 1
			if i%10 == 9 {
				for range 6 {
					r.NoteMedia(now, 1200, 1100, uint16(r.next))
				}
				n = 7
			}
			all := []bool{true, true, true, true, true, true, true}
			if !arrive {
				n = 1
			}
			note(t, r, now+20*ms, base, all[:n]...)
			if r.TakeSizeVerdict(now).TooLarge > 0 {
				r.NoteSmallerPackets(now)
				found++
				break
			}
		}
		if lost := !arrive; (found == 1) != lost || (path.heard == 1) != lost {
			t.Errorf("large packets arrive: %v: found %d times, heard %d times", arrive, found, path.heard)
		}
	}
}

// Requests come when the packet behind arrives, and a round trip is longer than the judge waits.
func TestRoundTripDelaysTheVerdict(t *testing.T) {
	const roundTrip = 600 * ms
	r := NewRecord(nil)
	found := time.Duration(0)
	for i := range 300 {
		now := time.Duration(i+1) * 33 * ms
		if lost := i - int(roundTrip/(33*ms)) - 1; lost >= 0 {
			r.NoteRequest(now, roundTrip, uint16(2*lost+1)) // of the large packet
		}
		r.NoteMedia(now, 500, 400, uint16(r.next))
		r.NoteMedia(now, 1200, 1100, uint16(r.next))
		if found == 0 && r.TakeSizeVerdict(now).TooLarge == 1200 {
			found = now
		}
	}
	if found == 0 || found > 4*time.Second {
		t.Errorf("found after %v, want within 4 s", found)
	}
}

func TestPacketsThatNobodyAskedForHaveArrived(t *testing.T) {
	for _, asked := range []bool{false, true} {
		r := NewRecord(nil)
		found := false
		for i := range 150 {
			now := time.Duration(i+1) * 33 * ms
			if now > time.Second && asked {
				r.NoteRequest(now, 0, uint16(r.next-1)) // of a large packet
			}
			r.NoteMedia(now, 500, 400, uint16(r.next))
			r.NoteMedia(now, 1200, 1100, uint16(r.next))
			found = found || r.TakeSizeVerdict(now).TooLarge > 0
		}
		if found != asked {
			t.Errorf("large packets asked for: %v: found: %v", asked, found)
		}
	}
}

package packet

import (
	"testing"
	"time"
)

func fill(r *Ring, from, to int) {
	for n := from; n < to; n++ {
		r.Keep(uint16(n), append(r.Reserve(uint16(n)), byte(n), byte(n>>8)))
	}
}

func TestARingHasTheLatestPackets(t *testing.T) {
	r := NewRing()
	const first = 65400 // the numbers wrap
	fill(r, first, first+ringSize+100)
	for n, want := range map[int]bool{
		first: false, first + 99: false, first + 100: true, 65535: true, 65536: true, first + ringSize + 99: true,
		first + ringSize + 100: false,
	} {
		if got := r.Resend(uint16(n), noon); (got != nil) != want {
			t.Errorf("packet %d is there: %v, want %v", n, got != nil, want)
		} else if got != nil && (got[0] != byte(n) || got[1] != byte(n>>8)) {
			t.Errorf("packet %d has bytes %x", n, got)
		}
	}
}

func TestAPacketIsNotSentAgainAndAgain(t *testing.T) {
	r := NewRing()
	fill(r, 0, 10)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {resendPause / 2, false}, {resendPause, true}, {resendPause + 1, false}} {
		if got := r.Resend(3, noon.Add(c.after)) != nil; got != c.want {
			t.Errorf("after %v: %v, want %v", c.after, got, c.want)
		}
	}
}

func TestReceiversGetAShareOfTheStreamAgainAndNoMore(t *testing.T) {
	r := NewRing()
	fill(r, 0, ringSize)
	count := func(at time.Time) (n int) {
		for i := range ringSize {
			if r.Resend(uint16(i), at) != nil {
				n++
			}
		}
		return n
	}
	if n := count(noon); n != resendBurst {
		t.Errorf("%d packets at once, want %d", n, resendBurst)
	}
	fill(r, ringSize, ringSize+20)
	if n, want := count(noon.Add(time.Second)), int(20*resendShare); n != want {
		t.Errorf("%d packets after 20 more, want %d", n, want)
	}
}

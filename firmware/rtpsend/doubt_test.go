package rtpsend

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

func TestDoubtComesWithSilenceByTheReceiversOwnPace(t *testing.T) {
	for _, test := range []struct {
		name  string
		every time.Duration
		want  time.Duration // after the last word, half a second less or more
	}{
		{"feedback each 60 ms", 60 * time.Millisecond, 2 * time.Second},
		{"reports each second", time.Second, 2500 * time.Millisecond},
		{"reports each 5 s", 5 * time.Second, 12500 * time.Millisecond},
	} {
		d := doubt{owes: true}
		now := time.Hour
		for range 40 {
			now += test.every
			d.hear(now)
			if d.raised(now + test.every/2) {
				t.Errorf("%s: doubt while it speaks", test.name)
			}
		}
		at := time.Duration(0)
		for ; at < time.Minute && !d.raised(now+at); at += 100 * time.Millisecond {
		}
		if at < test.want-500*time.Millisecond || at > test.want+500*time.Millisecond {
			t.Errorf("%s: doubt after %v, want %v", test.name, at, test.want)
		}
		if d.raised(now + at + doubtPause - 1) {
			t.Errorf("%s: doubt twice within %v", test.name, doubtPause)
		}
	}
}

func TestReceiverThatNeverSpeaksIsNotDoubtedForSilence(t *testing.T) {
	var d doubt
	if d.raised(time.Hour) {
		t.Error("ffmpeg sends no reports: its silence means nothing")
	}
}

// As Janus does: a PLI for each viewer, REMB each second while one watches.
func TestReceiverThatSendsFeedbackAloneIsNotDoubtedForSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		doubts := 0
		r := newRigWith(t, Config{Doubt: func() { doubts++ }})
		defer r.Close()
		for second := range 60 {
			r.frame(t, false, 500)
			if second == 2 {
				r.feed(t, pli(testSSRC))
			}
			if second > 2 && second < 20 {
				r.feed(t, &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e6, SSRCs: []uint32{testSSRC}})
			}
			time.Sleep(time.Second)
		}
		if doubts != 0 {
			t.Errorf("%d doubts about a receiver that never reported", doubts)
		}
	})
}

func TestDoubtComesWithRefusalsThatGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		doubts := 0
		r := newRigWith(t, Config{Doubt: func() { doubts++ }})
		defer r.Close()
		for i := range 60 {
			r.media.errs = []error{nil}
			if i%15 == 0 && i > 0 {
				r.media.errs = []error{syscall.ECONNREFUSED, errors.New("again")}
			}
			r.frame(t, false, 500)
			time.Sleep(time.Second / 15)
			if i == 20 && doubts != 0 {
				t.Error("doubt after a single refusal")
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if doubts != 1 {
			t.Errorf("%d doubts in 4 s of refusals, want 1", doubts)
		}
	})
}

func TestDoubtIsPassedOnWhenReportsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		doubts := 0
		r := newRigWith(t, Config{Doubt: func() { doubts++ }})
		defer r.Close()
		send := func(n int, report bool) {
			for range n {
				r.frame(t, false, 500)
				if report {
					r.feed(t, reception(rtcp.ReceptionReport{SSRC: testSSRC, LastSequenceNumber: 65534}))
				}
				time.Sleep(time.Second)
			}
		}
		send(12, true)
		if doubts != 0 {
			t.Fatalf("%d doubts while reports come", doubts)
		}
		send(5, false)
		if doubts != 1 {
			t.Errorf("%d doubts after 5 s of silence, want 1", doubts)
		}
	})
}

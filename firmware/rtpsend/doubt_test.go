package rtpsend

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

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

// Where RTCP shares the socket, its goroutine met a refusal at a time when a frame failed in another way.
func TestRefusalIsNotRememberedBehindAnotherError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.refused.Store(true)
		r.media.errs = []error{syscall.ENETUNREACH}
		r.frame(t, true, 500)
		if got := r.Outage(); got != Unsent {
			t.Errorf("%v after a frame that could not leave, want %v", got, Unsent)
		}
		time.Sleep(outageQuiet + time.Second)
		r.frame(t, false, 500)
		if got := r.Outage(); got != NoOutage {
			t.Errorf("%v after a frame that left, 6 s later", got)
		}
	})
}

package session

import (
	"testing"
	"time"
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
		d := doubt{owesReports: true}
		now := time.Hour
		for range 40 {
			now += test.every
			d.noteHeard(now)
			if d.raiseDoubt(now + test.every/2) {
				t.Errorf("%s: doubt while it speaks", test.name)
			}
		}
		at := time.Duration(0)
		for ; at < time.Minute && !d.raiseDoubt(now+at); at += 100 * time.Millisecond {
		}
		if at < test.want-500*time.Millisecond || at > test.want+500*time.Millisecond {
			t.Errorf("%s: doubt after %v, want %v", test.name, at, test.want)
		}
		if d.raiseDoubt(now + at + doubtPause - 1) {
			t.Errorf("%s: doubt twice within %v", test.name, doubtPause)
		}
	}
}

func TestReceiverThatNeverSpeaksIsNotDoubtedForSilence(t *testing.T) {
	var d doubt
	if d.raiseDoubt(time.Hour) {
		t.Error("ffmpeg sends no reports: its silence means nothing")
	}
}

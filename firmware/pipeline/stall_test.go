package pipeline

import (
	"testing"
	"time"
)

func TestStallIsTheLongerOfTheTwoSteps(t *testing.T) {
	var s Stages
	if got := s.StalledFor(time.Hour); got != 0 {
		t.Errorf("before anything began: %v, want 0", got)
	}
	s.NoteCaptureStep(10 * time.Second)
	if got := s.StalledFor(12 * time.Second); got != 2*time.Second {
		t.Errorf("a buffer is waited for: %v, want 2s", got)
	}
	s.encodeStep.begin(11 * time.Second)
	s.NoteCaptureStep(70 * time.Second)
	if got := s.StalledFor(71 * time.Second); got != time.Minute {
		t.Errorf("a frame does not leave: %v, want 1m0s", got)
	}
	s.encodeStep.end()
	if got := s.StalledFor(71 * time.Second); got != time.Second {
		t.Errorf("a picture is waited for: %v, want 1s", got)
	}
}

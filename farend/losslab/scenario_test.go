//go:build linux

package losslab

import (
	"strings"
	"testing"
	"time"
)

func TestFindNamesWhatThereIs(t *testing.T) {
	got, err := FindScenarios("jitter", "clean")
	if err != nil || len(got) != 2 || got[0].Name != "jitter" || got[1].Name != "clean" {
		t.Errorf("Find = %+v, %v", got, err)
	}
	if _, err := FindScenarios("nothing"); err == nil || !strings.Contains(err.Error(), "bottleneck-avp") {
		t.Errorf("Find of an unknown name = %v, want the names that there are", err)
	}
}

func TestAShorterBottleneckIsNarrowAsLong(t *testing.T) {
	s, err := FindScenarios("bottleneck-avp")
	if err != nil {
		t.Fatal(err)
	}
	short := s[0].Lasting(30 * time.Second)
	if short.Steps[1].At != 10*time.Second || short.Steps[2].At != 20*time.Second || short.Length != 30*time.Second {
		t.Errorf("%+v: want the drop from 10 to 20 s of 30", short)
	}
	if s[0].Steps[1].At != 15*time.Second {
		t.Error("Lasting changed the scenario that it was asked of")
	}
	if long := s[0].Lasting(time.Minute); long.Steps[1].At != 15*time.Second {
		t.Errorf("drop at %v in a longer run, want 15 s", long.Steps[1].At)
	}
}

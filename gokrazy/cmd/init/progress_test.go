package main

import (
	"testing"
	"time"
)

func TestWatchdogIsFedWhileEveryDutyGoesOn(t *testing.T) {
	p := newProgress()
	at := func(now time.Duration, stalls bool) {
		t.Helper()
		if got := p.stall(now); (got != "") != stalls {
			t.Errorf("after %v: stall %q, want one: %t", now, got, stalls)
		}
	}
	at(time.Hour, false) // nothing is on
	p.begin(dutyBoot, bootLimit, 2*time.Second)
	at(2*time.Minute, false)
	at(bootLimit+3*time.Second, true) // a boot that hangs
	p.end(dutyBoot)
	at(time.Hour, false)

	p.begin(dutyLoop, loopLimit, time.Hour)
	at(time.Hour+loopLimit, false)
	at(time.Hour+loopLimit+time.Second, true)
	p.note(dutyLoop, time.Hour+loopLimit)
	at(time.Hour+loopLimit+time.Second, false)

	end := 2 * time.Hour
	p.beginShutdown(end)
	at(end+loopLimit/3, false) // the loop is no duty any more
	p.note(dutyLoop, end+shutdownLimit)
	p.beginShutdown(end + shutdownLimit) // asked for once more
	at(end+shutdownLimit+time.Second, true)
}

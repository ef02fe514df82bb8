package client

import (
	"testing"
	"time"
)

func isLease(c Configuration) bool {
	return c.Address.IsValid() && !c.Address.Addr().IsLinkLocalUnicast()
}

func TestLeaseThatTheKernelRefusesIsTriedAgain(t *testing.T) {
	l := newLAN(t, homeServer())
	l.refuses = isLease
	l.plug()
	l.run(time.Hour)
	if !l.present.Address.Addr().IsLinkLocalUnicast() {
		t.Errorf("address = %v, want a link-local one meanwhile", l.present.Address)
	}
	if n := l.count("REQUEST"); n < 30 || n > 80 {
		t.Errorf("%d REQUESTs in an hour of refusals, want about one a minute", n)
	}
	l.refuses = nil
	l.run(2 * time.Minute)
	l.wantAddress("192.0.2.50/24")
}

// The adapter is pulled out: nothing can be set any more.
func TestInterfaceThatVanishesBetweenGrantAndUseIsNoPanic(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(100 * time.Millisecond)
	l.refuses = func(Configuration) bool { return true }
	l.run(time.Minute)
	l.wantAddress("")
	l.refuses = nil
	l.run(2 * time.Minute)
	l.wantAddress("192.0.2.50/24")
}

func TestRenewalThatTheKernelRefusesDropsTheLease(t *testing.T) {
	l := newLAN(t, homeServer())
	l.plug()
	l.run(29 * time.Minute)
	l.refuses = isLease
	l.run(time.Minute + time.Second)
	l.wantAddress("")
	l.refuses = nil
	l.run(2 * time.Minute)
	l.wantAddress("192.0.2.50/24")
}

func TestLinkLocalAddressThatTheKernelRefusesIsTriedAgain(t *testing.T) {
	l := newLAN(t)
	l.refuses = func(c Configuration) bool { return c.Address.IsValid() }
	l.plug()
	l.run(10 * time.Minute)
	l.wantAddress("")
	l.wantLog("interface cannot be configured", 1)
	l.refuses = nil
	l.run(2 * time.Minute)
	if !l.present.Address.Addr().IsLinkLocalUnicast() {
		t.Errorf("address = %v, want a link-local one", l.present.Address)
	}
}

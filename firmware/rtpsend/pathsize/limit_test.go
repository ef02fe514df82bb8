package pathsize

import "testing"

func TestLimitStepsDownToWhatFitsNearlyEveryPathAndThenEveryOne(t *testing.T) {
	for _, c := range []struct {
		name       string
		wanted     int
		headerSize int
		mtu        int
		want       []int // at first, and after each step down
	}{
		{"the default with IPv4", 0, 28, 1500, []int{1228, 576}},
		{"the default with IPv6", 0, 48, 1500, []int{1248, 576}},
		{"the owner's Ethernet", 1500, 28, 1500, []int{1500, 1228, 576}},
		{"the owner's Ethernet through a VPN", 1500, 28, 1420, []int{1420, 1228, 576}},
		{"a link below the default", 0, 28, 1000, []int{1000, 576}},
		{"the smallest", 576, 28, 1500, []int{576}},
		{"nothing known of the way out", 0, 28, 0, []int{1228, 576}},
		{"less than the kernel believes in", 0, 28, 68, []int{552}},
	} {
		l := NewLimit(c.wanted, c.headerSize)
		l.NoteMTU(c.mtu)
		for i, want := range c.want {
			if l.Size() != want {
				t.Errorf("%s: %d bytes after %d steps, want %d", c.name, l.Size(), i, want)
			}
			if down, more := l.StepDown(), i+1 < len(c.want); down != more {
				t.Errorf("%s: step %d down is %v, want %v", c.name, i+1, down, more)
			}
		}
	}
}

func TestLimitFollowsTheWayOutInBothDirections(t *testing.T) {
	l := NewLimit(0, 28)
	for _, c := range []struct{ mtu, want int }{{1500, 1228}, {1100, 1100}, {0, 1100}, {1492, 1228}} {
		if l.NoteMTU(c.mtu); l.Size() != c.want {
			t.Errorf("MTU %d: %d bytes, want %d", c.mtu, l.Size(), c.want)
		}
	}
	l.StepDown()
	if l.NoteMTU(1492); l.Size() != Small {
		t.Errorf("%d bytes on the same way out after a step down, want %d", l.Size(), Small)
	}
	if l.NoteMTU(1420); l.Size() != 1228 {
		t.Errorf("%d bytes on another way out, want 1228 again", l.Size())
	}
}

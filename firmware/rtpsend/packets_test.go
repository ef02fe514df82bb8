// The path's MTU: known from the start, or learned from the kernel.

package rtpsend

import (
	"os/exec"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

func TestPacketsShrinkWhenThePathRefusesThemAndAKeyFrameFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		r.frame(t, true, 4000)
		time.Sleep(time.Second)
		r.media.mtu, r.media.errs = 1280, []error{syscall.EMSGSIZE}
		r.frame(t, false, 1400)
		got := r.Stats()
		if got.SendErrors.TooLarge != 1 || !r.KeyFrameWanted() {
			t.Errorf("%+v, want one packet too large and a key frame wanted", got)
		}
		before := r.left()
		time.Sleep(time.Second)
		r.frame(t, true, 2400)
		for _, p := range r.media.packets[before:] {
			if n := 20 + 8 + 12 + len(p.Payload); n > 1280 {
				t.Errorf("IP packet of %d bytes, want at most 1280", n)
			}
		}
		if n := r.left() - before; n != 2 {
			t.Errorf("%d packets of a frame of 2,400 bytes, want 2", n)
		}
	})
}

func TestPayloadLeavesRoomForWhatIsAdded(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		mtu  int
		want int
	}{
		{"Ethernet", Config{}, 1500, 1440},
		{"loopback", Config{}, 65536, 1440},
		{"PPPoE", Config{}, 1492, 1440}, // 1492 - 40 of IPv4, UDP and RTP are 1452
		{"WireGuard", Config{}, 1420, 1380},
		{"RTX", Config{RTX: true}, 1500, 1438},
		{"SRTP with AES-GCM in a tunnel", Config{SRTP: testKeys(ProfileGCM, 1)}, 1280, 1224},
		{"a forged ICMP packet", Config{}, 68, udp.MinMTU - 40},
		{"nothing known", Config{}, 0, 1440},
	} {
		r := newRigWith(t, c.cfg)
		r.fitPath(c.mtu, new(pendingLog))
		if r.queue.maxPayload != c.want {
			t.Errorf("%s: payload of %d bytes, want %d", c.name, r.queue.maxPayload, c.want)
		}
	}
}

func TestNarrowRouteIsKnownToTheSocket(t *testing.T) {
	need.Tools(t, "ip")
	need.Root(t, "for a network namespace")
	l := newLink(t)
	run(t, exec.Command("ip", "-n", l.senderSpace, "link", "set", "va", "mtu", "1300"))
	s := l.open(t)
	if want := 1300 - 40; s.queue.maxPayload != want {
		t.Errorf("payload of %d bytes on a link of 1,300, want %d", s.queue.maxPayload, want)
	}
	run(t, exec.Command("ip", "-n", l.senderSpace, "link", "set", "va", "mtu", "1000"))
	if err := s.Send(make([]byte, 2400), true, monotonic()); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.SendErrors.TooLarge == 0 || s.queue.maxPayload != 1000-40 {
		t.Errorf("%+v, payload %d, want packets too large and then smaller", got, s.queue.maxPayload)
	}
}

// The path's MTU: known from the start, or learned from the kernel.

package rtpsend

import (
	"os/exec"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/rtpsend/pathsize"
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
		{"Ethernet", Config{}, 1500, 1188}, // 1200 of UDP payload without 12 of RTP
		{"WireGuard, which has more room", Config{}, 1420, 1188},
		{"a link of 576", Config{}, 576, 576 - 40},
		{"RTX", Config{RTX: true}, 1500, 1186},
		{"SRTP with AES-GCM in a tunnel", Config{SRTP: testKeys(ProfileGCM, 1)}, 1280, 1172},
		{"SRTP and RTX in a narrow tunnel", Config{SRTP: testKeys(ProfileCM, 1), RTX: true}, 1000, 1000 - 40 - 12},
		{"a forged ICMP packet", Config{}, 68, 552 - 40},
		{"nothing known", Config{}, 0, 1188},
		{"the owner's Ethernet", Config{MTU: 1500}, 1500, 1440}, // 1452 would fit IPv4, but not IPv6
		{"the owner's 1,500 on PPPoE", Config{MTU: 1500}, 1492, 1440},
		{"the owner's 1,500 in WireGuard", Config{MTU: 1500}, 1420, 1380},
		{"the owner's 576", Config{MTU: 576}, 1500, 536},
	} {
		r := newRigWith(t, c.cfg)
		r.queue.limit = pathsize.NewLimit(c.cfg.MTU, r.wire.headerSize) // the rig's own default is Ethernet's
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
	run(t, exec.Command("ip", "-n", l.senderSpace, "link", "set", "va", "mtu", "1100"))
	s := l.open(t) // 2,000 bytes are two packets of 1,042
	if want := 1100 - 40; s.queue.maxPayload != want {
		t.Errorf("payload of %d bytes on a link of 1,100, want %d", s.queue.maxPayload, want)
	}
	run(t, exec.Command("ip", "-n", l.senderSpace, "link", "set", "va", "mtu", "1000"))
	if err := s.Send(make([]byte, 2000), true, monotonic()); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.SendErrors.TooLarge == 0 || s.queue.maxPayload != 1000-40 {
		t.Errorf("%+v, payload %d, want packets too large and then smaller", got, s.queue.maxPayload)
	}
	run(t, exec.Command("ip", "-n", l.senderSpace, "link", "set", "va", "mtu", "1500"))
	if err := s.Send(make([]byte, 2000), true, monotonic()); err != nil {
		t.Fatal(err)
	}
	if s.queue.maxPayload != 1000-40 {
		t.Errorf("payload %d before the kernel was asked again", s.queue.maxPayload)
	}
	s.queue.checkedAt -= mtuInterval
	if err := s.Send(make([]byte, 2000), true, monotonic()); err != nil {
		t.Fatal(err)
	}
	if s.queue.maxPayload != 1188 {
		t.Errorf("payload %d on the wide link, want 1188 again", s.queue.maxPayload)
	}
}

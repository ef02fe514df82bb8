package machine

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// inOwnNetwork runs this test again where it has a network of its own, which needs root.
func inOwnNetwork(t *testing.T) {
	t.Helper()
	need.Root(t, "for a network of its own")
	cmd := exec.Command("unshare", "--net", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "KRAZYCAM_OWN_NETWORK=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, out)
	}
}

func TestProcessIsWokenByANewAddressAndANewWayOutAndByNoOldOne(t *testing.T) {
	if os.Getenv("KRAZYCAM_OWN_NETWORK") == "" {
		inOwnNetwork(t)
		return
	}
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	ip("link add name cam type veth peer name peer")
	ip("link set cam addrgenmode none") // its link-local address would come when it likes
	ip("link set peer addrgenmode none")
	woken := make(chan struct{}, 100)
	WakeOnChange(t.Context(), func() { woken <- struct{}{} }, slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		change string
		wakes  bool
	}{
		{"link set peer up", false},
		{"link set cam up", false},
		{"addr add 192.0.2.2/24 dev cam", true},
		{"route add 198.51.100.0/24 via 192.0.2.9", false}, // leads to one network only
		{"route add default via 192.0.2.1", true},
		{"route add default via 192.0.2.1 metric 9", false},
		{"-6 addr add 2001:db8::2/64 dev cam nodad", true},
		{"-6 route add default via 2001:db8::1", true},
		{"route del default via 192.0.2.1 metric 9", false},
		{"route del default", false},              // it must be seen, too
		{"route add default via 192.0.2.1", true}, // back again
	} {
		ip(c.change)
		wait := 300 * time.Millisecond // for what must not come
		if c.change == "route del default" {
			wait = 2 * time.Second
		}
		if c.wakes {
			wait = 5 * time.Second
		}
		select {
		case <-woken:
			if !c.wakes {
				t.Errorf("ip %s wakes", c.change)
			}
		case <-time.After(wait):
			if c.wakes {
				t.Errorf("ip %s does not wake within %v", c.change, wait)
			}
		}
	}
}

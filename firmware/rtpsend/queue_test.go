// A slow link of this machine's own, such as Wi-Fi: what waits for it is bounded.

package rtpsend

import (
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

func TestLittleWaitsForASlowLinkOfThisMachine(t *testing.T) {
	need.Tools(t, "ip", "tc")
	need.Root(t, "for network namespaces")
	l := newLink(t)
	const rate, bandwidth = 300_000, 600_000 // bit/s of the link and of the stream
	run(t, exec.Command("tc", "-n", l.senderSpace, "qdisc", "replace", "dev", "va", "root", "tbf", "rate",
		strconv.Itoa(rate)+"bit", "burst", "5kb", "latency", "10s"))
	s := l.openWith(t, Config{Bandwidth: bandwidth})
	frame := make([]byte, bandwidth/8/30)
	backlog := regexp.MustCompile(`backlog (\d+)(K?)b`)
	most := 0
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		if err := s.Send(frame, false, monotonic()); err != nil { // waits, so that pictures are left out before it
			t.Fatal(err)
		}
		m := backlog.FindStringSubmatch(run(t, exec.Command("tc", "-n", l.senderSpace, "-s", "qdisc", "show",
			"dev", "va")))
		if m == nil {
			t.Fatal("tc names no backlog")
		}
		n, _ := strconv.Atoi(m[1])
		if m[2] == "K" {
			n <<= 10
		}
		most = max(most, n)
	}
	delay := time.Duration(float64(8*most) / rate * float64(time.Second))
	t.Logf("FIGURE slow link of the board's own, half the stream's rate: at most %d bytes wait, %v", most,
		delay.Round(time.Millisecond))
	if limit := time.Second; delay > limit || most == 0 {
		t.Errorf("%d bytes wait, %v at %d bit/s, want at most %v", most, delay, rate, limit)
	}
}

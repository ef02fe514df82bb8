//go:build linux

package losslab

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

var bad = Impairment{Loss: 0.05, Duplicate: 0.02, Delay: 30 * time.Millisecond, Jitter: 10 * time.Millisecond}

// draw lists the fates of n packets of which each is that much older than the first.
func draw(i Impairment, seed int64, n int, age time.Duration) (out [][]time.Duration) {
	f := newFates(i, seed)
	for range n {
		out = append(out, f.drawWaits(age))
	}
	return out
}

func TestFateOfAPacketDependsOnSeedAndPlaceAlone(t *testing.T) {
	same := func(a, b [][]time.Duration) bool { return slices.EqualFunc(a, b, slices.Equal[[]time.Duration]) }
	one := draw(bad, 1, 1000, time.Minute)
	if !same(one, draw(bad, 1, 1000, time.Minute)) {
		t.Error("one seed gave two sequences")
	}
	if same(one, draw(bad, 2, 1000, time.Minute)) {
		t.Error("two seeds gave one sequence")
	}
	clean := bad
	clean.LossFree = time.Hour
	for i, waits := range draw(clean, 1, 1000, time.Minute) {
		if len(one[i]) > 0 && !slices.Equal(waits, one[i]) {
			t.Fatalf("packet %d waits %v, want %v as with losses", i, waits, one[i])
		}
		if len(waits) == 0 {
			t.Fatalf("packet %d was lost in the clean time", i)
		}
	}
}

func TestSharesAndWaitsAreThoseOfTheImpairment(t *testing.T) {
	const n = 20_000
	lost, twice, least, most := 0, 0, time.Hour, time.Duration(0)
	for _, waits := range draw(bad, 3, n, time.Minute) {
		switch len(waits) {
		case 0:
			lost++
		case 2:
			twice++
		}
		for _, w := range waits {
			least, most = min(least, w), max(most, w)
		}
	}
	if lost < n*4/100 || lost > n*6/100 || twice < n*1/100 || twice > n*3/100 {
		t.Errorf("%d lost and %d twice of %d, want about 5 and 2 %%", lost, twice, n)
	}
	if least < 20*time.Millisecond || least > 21*time.Millisecond || most > 40*time.Millisecond ||
		most < 39*time.Millisecond {
		t.Errorf("waits from %v to %v, want 20 to 40 ms", least, most)
	}
}

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addr(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// take reads n packets and gives their first bytes and where the last came from.
func take(t *testing.T, c *net.UDPConn, n int) (first []byte, from netip.AddrPort) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 100)
	for range n {
		if _, f, err := c.ReadFromUDPAddrPort(b); err != nil {
			t.Fatalf("after %d packets: %v", len(first), err)
		} else {
			first, from = append(first, b[0]), f
		}
	}
	return first, from
}

func TestRelayReordersAndAnswersFromWhereTheSenderSends(t *testing.T) {
	senderRTP, senderRTCP, receiverRTP, receiverRTCP := listen(t), listen(t), listen(t), listen(t)
	c := relayConfig{rtp: listen(t), rtcp: listen(t), out: listen(t), back: listen(t), toRTP: addr(receiverRTP),
		toRTCP: addr(receiverRTCP),
		impair: Impairment{Jitter: 20 * time.Millisecond, Delay: 20 * time.Millisecond}, seed: 5}
	rtp, rtcp, back := addr(c.rtp), addr(c.rtcp), addr(c.back)
	r := startRelay(c)
	defer r.closeFlows()
	const n = 50
	for i := range n {
		_, _ = senderRTP.WriteToUDPAddrPort([]byte{byte(i)}, rtp)
	}
	got, _ := take(t, receiverRTP, n)
	if slices.IsSorted(got) {
		t.Error("with 20 ms of jitter no packet overtook another")
	}
	slices.Sort(got)
	for i := range n {
		if got[i] != byte(i) {
			t.Fatalf("packets %v, want each of 0 to %d once", got, n-1)
		}
	}
	_, _ = senderRTCP.WriteToUDPAddrPort([]byte{200}, rtcp)
	if got, _ := take(t, receiverRTCP, 1); got[0] != 200 {
		t.Errorf("report %d came, want 200", got[0])
	}
	_, _ = receiverRTCP.WriteToUDPAddrPort([]byte{201}, back)
	if got, from := take(t, senderRTCP, 1); got[0] != 201 || from != rtcp {
		t.Errorf("feedback %d came from %v, want 201 from %v", got[0], from, rtcp)
	}
}

package admission

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

const (
	testSSRC   = 0x12345678
	honestSSRC = 0x0badcafe
	honestPort = 5005
)

func marshal(t testing.TB, parts ...rtcp.Packet) []byte {
	t.Helper()
	b, err := rtcp.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func report(from, about uint32) rtcp.Packet {
	return &rtcp.ReceiverReport{SSRC: from, Reports: []rtcp.ReceptionReport{{SSRC: about}}}
}

// A flood is what a stranger sends from the receiver's address.
type flood struct {
	name string
	make func(t testing.TB, r *rand.Rand) []byte
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var floods = []flood{
	{"garbage", func(_ testing.TB, r *rand.Rand) []byte { return randomBytes(r, r.IntN(1500)) }},
	{"garbage with RTCP's first bytes", func(_ testing.TB, r *rand.Rand) []byte {
		return append([]byte{0x81, byte(192 + r.IntN(32))}, randomBytes(r, 2+r.IntN(200))...)
	}},
	{"RTP", func(_ testing.TB, r *rand.Rand) []byte { return append([]byte{0x80, 96}, randomBytes(r, 100)...) }},
	{"honest reports cut short", func(t testing.TB, r *rand.Rand) []byte {
		return marshal(t, report(honestSSRC, testSSRC))[:r.IntN(32)]
	}},
	{"reports of the honest receiver about another stream", func(t testing.TB, r *rand.Rand) []byte {
		return marshal(t, report(honestSSRC, r.Uint32()|1<<31))
	}},
	{"PLIs for another stream", func(t testing.TB, r *rand.Rand) []byte {
		return marshal(t, &rtcp.PictureLossIndication{SenderSSRC: r.Uint32(), MediaSSRC: r.Uint32() | 1<<31})
	}},
	{"empty reports", func(t testing.TB, _ *rand.Rand) []byte {
		return marshal(t, &rtcp.ReceiverReport{SSRC: honestSSRC})
	}},
	{"BYE for our stream", func(t testing.TB, _ *rand.Rand) []byte {
		return marshal(t, &rtcp.Goodbye{Sources: []uint32{testSSRC}})
	}},
	{"NACKs of another source that knows our SSRC", func(t testing.TB, r *rand.Rand) []byte {
		return marshal(t, &rtcp.TransportLayerNack{SenderSSRC: r.Uint32() | 1<<31, MediaSSRC: testSSRC,
			Nacks: []rtcp.NackPair{{PacketID: 1}}})
	}},
}

// Whatever comes from the receiver's address besides, and however much: honest reports get through, all
// of them, the first one included, because nothing of the flood may use up their share.
func TestHonestReportsGetThroughAnyMixtureOfFloods(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	honest := [][]byte{
		marshal(t, report(honestSSRC, testSSRC)),
		marshal(t, &rtcp.ReceiverReport{SSRC: honestSSRC}, rtcp.NewCNAMESourceDescription(honestSSRC, "x"),
			&rtcp.PictureLossIndication{SenderSSRC: honestSSRC, MediaSSRC: testSSRC}),
		marshal(t, &rtcp.TransportLayerNack{SenderSSRC: honestSSRC, MediaSSRC: testSSRC,
			Nacks: []rtcp.NackPair{{PacketID: 7}}}),
		marshal(t, &rtcp.FullIntraRequest{SenderSSRC: honestSSRC, FIR: []rtcp.FIREntry{{SSRC: 7}, {SSRC: testSSRC}}}),
		marshal(t, &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: honestSSRC, Bitrate: 1e6,
			SSRCs: []uint32{7, testSSRC}}),
		marshal(t, &rtcp.SenderReport{SSRC: honestSSRC, Reports: []rtcp.ReceptionReport{{SSRC: 7}, {SSRC: testSSRC}}}),
	}
	for trial := range 24 {
		g := NewGate(testSSRC)
		perSecond := []int{10, 239, 1000, 5000}[trial%4]
		chosen := []flood{floods[trial%len(floods)], floods[r.IntN(len(floods))], floods[r.IntN(len(floods))]}
		sent, lost, flooded := 0, 0, 0
		if !admits(&g, time.Hour, honest[0]) { // the stream began before the flood
			t.Fatal("the first report is not admitted")
		}
		for i := range 6 * perSecond {
			now := time.Hour + time.Duration(i)*time.Second/time.Duration(perSecond)
			g.Admit(now, chosen[r.IntN(len(chosen))].make(t, r), uint16(r.Uint32()))
			flooded++
			if i%max(1, perSecond/30) == 0 { // feedback for each frame
				sent++
				if !admits(&g, now, honest[r.IntN(len(honest))]) {
					lost++
				}
			}
		}
		if lost > 0 {
			t.Errorf("%d of %d honest packets lost among %d a second of %s, %s, %s", lost, sent, perSecond,
				chosen[0].name, chosen[1].name, chosen[2].name)
		}
	}
}

func admits(g *Gate, now time.Duration, b []byte) bool {
	return g.Admit(now, b, honestPort) == Admitted
}

func TestReceiverThatWasReplacedIsKnownAfterTheOldOnesSilence(t *testing.T) {
	g := NewGate(testSSRC)
	old, next := marshal(t, report(1, testSSRC)), marshal(t, report(2, testSSRC))
	count := func(at time.Duration, b []byte) (n int) {
		for range 2 * KnownQuota {
			if admits(&g, at, b) {
				n++
			}
		}
		return n
	}
	if got := count(time.Hour, old); got != KnownQuota {
		t.Errorf("%d of the known source in a second, want %d", got, KnownQuota)
	}
	if got := count(time.Hour+5*time.Second, next); got != NewQuota {
		t.Errorf("%d of a new source, want %d", got, NewQuota)
	}
	if got := count(time.Hour+16*time.Second, next); got != KnownQuota {
		t.Errorf("%d of the new source after 16 s of silence, want %d", got, KnownQuota)
	}
}

func TestFloodsAreBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, f := range floods {
		g := NewGate(testSSRC)
		admits(&g, time.Hour, marshal(t, report(honestSSRC, testSSRC)))
		n := 0
		for range 5000 {
			if g.Admit(time.Hour+time.Second/2, f.make(t, r), uint16(r.Uint32())) == Admitted {
				n++
			}
		}
		if n > NewQuota {
			t.Errorf("%s: %d of 5,000 in a second are read, want %d at most", f.name, n, NewQuota)
		}
	}
}

func TestTrialsAreBoundedWithAndWithoutAKnownSource(t *testing.T) {
	g := NewGate(testSSRC)
	count := func(at time.Duration, ssrc uint32) (n int) {
		for range 5000 {
			if g.AdmitTrial(at, ssrc) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		name   string
		at     time.Duration
		report bool
		ssrc   uint32
		want   int
	}{
		{"before a source is known", time.Hour, false, 7, FirstTrialQuota},
		{"beside the known one", time.Hour + 2*time.Second, true, 7, TrialQuota},
		{"from the known one", time.Hour + 4*time.Second, false, honestSSRC, 5000},
		{"after its silence", time.Hour + 30*time.Second, false, 7, FirstTrialQuota},
		{"when it is back", time.Hour + 31*time.Second, false, honestSSRC, 5000},
	} {
		if c.report {
			admits(&g, c.at, marshal(t, report(honestSSRC, testSSRC)))
		}
		if got := count(c.at, c.ssrc); got != c.want {
			t.Errorf("%s: %d of 5,000 in a second are tried, want %d", c.name, got, c.want)
		}
	}
}

func TestJudgingAllocatesNothing(t *testing.T) {
	g := NewGate(testSSRC)
	b := marshal(t, report(honestSSRC, 7))
	if n := testing.AllocsPerRun(100, func() { g.Admit(time.Hour, b, 9) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"garbage", make([]byte, 1200)}, {"about another stream", marshal(b, report(honestSSRC, 7))},
		{"375 parts", func() (all []byte) {
			for range 375 {
				all = append(all, 0x80, 203, 0, 0)
			}
			return all
		}()},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := NewGate(testSSRC)
			for b.Loop() {
				g.Admit(time.Hour, c.b, 9)
			}
		})
	}
}

// Our own sender and our own receiver over loopback, with seeded loss between them:
// what NACK heals, in the clear and under SRTP.

package receiver

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/rtpsend"
)

// lossyConn loses a part of what comes.
type lossyConn struct {
	net.PacketConn
	random *rand.Rand
	loss   float64
}

func (l *lossyConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := l.PacketConn.ReadFrom(b)
		if err != nil || l.random.Float64() >= l.loss {
			return n, from, err
		}
	}
}

// chainBegan is where the clock of captures begins.
var chainBegan = time.Now()

// A chain is a sender and a receiver that lose packets between them.
func newChain(t *testing.T, seed uint64, loss float64, k *wire.SRTP, rtx bool) (*rtpsend.Sender, *Server) {
	t.Helper()
	var sockets [2]net.PacketConn
	var at [2]netip.AddrPort
	for i := range sockets {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		at[i] = c.LocalAddr().(*net.UDPAddr).AddrPort()
		sockets[i] = &lossyConn{PacketConn: c, random: rand.New(rand.NewPCG(seed, uint64(i))), loss: loss}
	}
	r, err := Listen(Config{RTP: sockets[0], RTCP: sockets[1]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Begin(t.Context(), stream.Grant{ID: "a", SRTP: k}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithStop(t)
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	cfg := rtpsend.Config{Monotonic: func() time.Duration { return time.Since(chainBegan) },
		RTP: at[0], RTCP: at[1], Bandwidth: 2_000_000, TransportID: transportID,
		CaptureTimeID: captureTimeID, RTX: rtx}
	if k != nil {
		cfg.SRTP = &rtpsend.Keys{Profile: k.Profile, Ours: k.Source, Theirs: k.Receiver}
	}
	s, err := rtpsend.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, r
}

// playChain sends frames over a link that loses 5 %; starved: for so long was this machine
// away that packets came too late for that alone.
func playChain(t *testing.T, k *wire.SRTP, rtx bool, frames int) (got stream.Stats, sent rtpsend.Stats, starved bool) {
	t.Helper()
	s, r := newChain(t, 1, 0.05, k, rtx)
	const interval = 15 * time.Millisecond
	began := time.Now()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	frame := make([]byte, sizeOfFrame)
	for i := range frames {
		frame[0] = 1
		if key := i == 0 || s.KeyFrameWanted(); key {
			copy(frame, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0})
		}
		if err := s.Send(frame, frame[0] != 1, time.Since(chainBegan)); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	starved = time.Since(began) > time.Duration(frames)*interval+300*time.Millisecond
	// The last resends are on their way. What does not come within this time is lost for good.
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got, _ = r.Stats("a"); got.Frames >= uint64(frames) {
			break
		}
	}
	return got, s.Stats(), starved
}

func TestOurOwnChainHealsFivePercentLoss(t *testing.T) {
	key := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	gcm := &wire.SRTP{Profile: wire.ProfileGCM, Source: key(1, 28), Receiver: key(2, 28)}
	cm := &wire.SRTP{Profile: wire.ProfileCM, Source: key(1, 30), Receiver: key(2, 30)}
	for name, c := range map[string]struct {
		keys *wire.SRTP
		rtx  bool
	}{
		"in the clear": {nil, false}, "AES-GCM": {gcm, false}, "AES-CM": {cm, false},
		"in the clear, RFC 4588": {nil, true}, "AES-GCM, RFC 4588": {gcm, true}, "AES-CM, RFC 4588": {cm, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const frames = 200
			got, sent, starved := playChain(t, c.keys, c.rtx, frames)
			for try := 1; starved && try < 3; try++ {
				t.Log("this machine had no time: once more")
				got, sent, starved = playChain(t, c.keys, c.rtx, frames)
			}
			t.Logf("FIGURE own chain at 5 %% loss, %s: %d of %d frames, %d packets healed of %d asked for, %d PLIs",
				name, got.Frames-got.Damaged, frames, got.Healed, sent.Resends.Asked, got.PLIs)
			// A packet that stays lost costs the frames until the key frame: about ten.
			if good := got.Frames - got.Damaged; good < frames*90/100 {
				t.Errorf("%d of %d frames, want 90 %%: %+v\n%+v", good, frames, got, sent)
			}
			if got.Feedback == 0 || sent.TransportFeedback < got.Feedback*8/10 {
				t.Errorf("%d messages about arrivals sent, %d heard", got.Feedback, sent.TransportFeedback)
			}
			if c.rtx && (got.Resent == 0 || got.Lost < int64(got.Expected/40)) || !c.rtx && got.Resent != 0 {
				t.Errorf("%d resent, %d of %d lost, want resends to be known as such",
					got.Resent, got.Lost, got.Expected)
			}
			if got.RTT == nil || *got.RTT > time.Second || got.Delay == nil || got.DelayBy != stream.DelayByClock {
				t.Errorf("round trip %v, delay %v by %q, want both", got.RTT, got.Delay, got.DelayBy)
			}
			if got.Healed == 0 || sent.Resends.Sent == 0 || got.Malformed != 0 ||
				sent.Ignored.Malformed+sent.Ignored.Forged != 0 {
				t.Errorf("%+v\n%+v: want packets healed and nothing malformed or forged", got, sent)
			}
		})
	}
}

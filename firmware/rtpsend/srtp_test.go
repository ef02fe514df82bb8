// SRTP against pion's other half, and what a stranger without the key can do.

package rtpsend

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

// testKeys are of profile, other ones for each seed.
func testKeys(profile string, seed byte) *Keys {
	n := 30
	if profile == ProfileGCM {
		n = 28
	}
	return &Keys{Profile: profile, Ours: bytes.Repeat([]byte{seed}, n), Theirs: bytes.Repeat([]byte{seed + 1}, n)}
}

// far is the receiver's half of k.
func far(t testing.TB, k *Keys) (in, out *srtp.Context) {
	t.Helper()
	in, err := newPionContext(k.Profile, k.Ours)
	if err != nil {
		t.Fatal(err)
	}
	out, err = newPionContext(k.Profile, k.Theirs)
	if err != nil {
		t.Fatal(err)
	}
	return in, out
}

// tape is a media connection that keeps the bytes.
type tape struct {
	discard
	packets [][]byte
}

func (p *tape) Write(b []byte) (int, error) {
	p.packets = append(p.packets, bytes.Clone(b))
	return len(b), nil
}

func TestSRTPIsReadByPionAndResendsAreTheSameBytesAcrossTheWrap(t *testing.T) {
	for _, profile := range []string{ProfileCM, ProfileGCM} {
		t.Run(profile, func(t *testing.T) {
			k := testKeys(profile, 1)
			r := newRigWith(t, Config{SRTP: k, Unpaced: true, First: &First{SSRC: testSSRC, Sequence: 32767}})
			out := &tape{}
			r.Sender.wire.conn = out
			in, _ := far(t, k)
			var sent tally
			frame := bytes.Repeat([]byte("krazycam"), 600)
			for i := range 10_000 { // 40,000 packets: past the wrap
				if _, err := r.queueFrame(frame, 0, 0, false, &sent); err != nil {
					t.Fatal(err)
				}
				if _, err := r.sendQueued(0, &sent); err != nil {
					t.Fatal(err)
				}
				for _, p := range out.packets {
					if i%32 != 0 && r.queue.history.NextSequence() > 12 { // enough to follow the count of wraps
						break
					}
					b, err := in.DecryptRTP(nil, p, nil)
					if err != nil || !bytes.Contains(b, []byte("krazycamkrazycam")) ||
						bytes.Contains(p, []byte("krazycam")) || len(p) > packet.MaxSize {
						t.Fatalf("packet of %d bytes: %v", len(p), err)
					}
				}
				out.packets = out.packets[:0]
				if next := r.queue.history.NextSequence(); next >= 8 && next < 12 { // just wrapped: ask for both sides
					break
				}
			}
			before := r.queue.history.NextSequence() - 12
			for _, s := range []uint16{before, r.queue.history.NextSequence() - 1} {
				for range 2 {
					if err := r.sendAgain(r.kept(t, s), &sent); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !bytes.Equal(out.packets[0], out.packets[1]) || !bytes.Equal(out.packets[2], out.packets[3]) {
				t.Error("a packet that is sent again is another one")
			}
			fresh, _ := far(t, k) // one that never saw them, in the first turn of the numbers
			if _, err := fresh.DecryptRTP(nil, out.packets[0], nil); err != nil {
				t.Errorf("resend of %d from before the wrap: %v", before, err)
			}
		})
	}
}

func TestSRTCPIsBelievedOnceAndOnlyFromTheReceiver(t *testing.T) {
	for _, profile := range []string{ProfileCM, ProfileGCM} {
		k := testKeys(profile, 1)
		r := newRigWith(t, Config{SRTP: k})
		in, out := far(t, k)
		_, other := far(t, testKeys(profile, 7))
		wish := marshal(t, &rtcp.ReceiverReport{SSRC: 1}, pli(testSSRC))
		seal := func(c *srtp.Context) []byte {
			b, err := c.EncryptRTCP(nil, wish, nil)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		good := seal(out)
		changed := bytes.Clone(seal(out))
		changed[10] ^= 1
		for _, c := range []struct {
			name string
			b    []byte
			plis uint64
		}{
			{"in the clear", wish, 0}, {"with another key", seal(other), 0},
			{"our own key", seal(in), 0}, {"changed on its way", changed, 0},
			{"too short", good[:7], 0}, {"cut", good[:len(good)-1], 0}, {"the receiver's", good,
				1}, {"the same again", good, 1},
		} {
			r.receive(c.b, peer)
			if got := r.Stats(); got.PLIs != c.plis || got.Ignored.Malformed != 0 {
				t.Errorf("%s, %s: %+v, want %d PLIs", profile, c.name, got, c.plis)
			}
		}
		if got := r.Stats().Ignored.Forged; got != 7 {
			t.Errorf("%s: %d forged, want 7", profile, got)
		}
	}
}

// Under SRTP nothing that fails authentication counts against the receiver, however much comes and
// whatever it names. Of other senders than the known one, few packets are tried.
func TestForgedFloodUsesUpNothingOfTheReceivers(t *testing.T) {
	for _, profile := range []string{ProfileCM, ProfileGCM} {
		k := testKeys(profile, 1)
		r := newRigWith(t, Config{SRTP: k})
		_, out := far(t, k)
		_, other := far(t, testKeys(profile, 7))
		const rounds = 20
		for range rounds {
			for i := range uint32(500) { // half of them with the receiver's SSRC
				request := marshal(t, &rtcp.ReceiverReport{SSRC: 1 + i%2}, pli(testSSRC))
				forged, err := other.EncryptRTCP(nil, request, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.receive(forged, peer)
			}
			honest, err := out.EncryptRTCP(nil, marshal(t, &rtcp.ReceiverReport{SSRC: 1}, pli(testSSRC)), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.receive(honest, peer)
		}
		got := r.Stats()
		unread := got.Ignored.TooMany
		if got.PLIs != rounds || got.Ignored.Forged+unread != rounds*500 || unread < rounds*200 {
			t.Errorf("%s: %d PLIs and %+v, want %d and all others dropped, most of those of strangers unread", profile,
				got.PLIs, got.Ignored, rounds)
		}
	}
}

// BenchmarkForged is what a packet costs that fails authentication.
func BenchmarkForged(b *testing.B) {
	for _, profile := range []string{ProfileCM, ProfileGCM} {
		for _, size := range []int{100, 1400} {
			b.Run(fmt.Sprintf("%s/%d", profile, size), func(b *testing.B) {
				r := newRigWith(b, Config{SRTP: testKeys(profile, 1)})
				forged := append([]byte{0x81, 201, 0, 7, 0, 0, 0, 1}, make([]byte, size-8)...)
				for b.Loop() {
					r.receive(forged, peer)
				}
			})
		}
	}
}

func TestReportsAreEncryptedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := testKeys(ProfileGCM, 1)
		r := newRigWith(t, Config{SRTP: k})
		in, _ := far(t, k)
		r.reports.open = func(b []byte) []byte {
			b, err := in.DecryptRTCP(nil, b, nil)
			if err != nil {
				t.Errorf("a report that the receiver cannot read: %v", err)
			}
			return b
		}
		r.Sender.wire.conn = &tape{}
		r.frame(t, true, 100)
		time.Sleep(10 * time.Second)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if n := len(r.reports.sent); n < 8 {
			t.Errorf("%d reports in 10 s, want at least 8", n)
		}
	})
}

func TestKeysThatDoNotFitAreRefusedAndNotShown(t *testing.T) {
	long, short := bytes.Repeat([]byte{'K'}, 30), bytes.Repeat([]byte{'L'}, 28)
	for name, k := range map[string]*Keys{
		"no profile":              {Ours: long, Theirs: short},
		"an unknown one":          {Profile: "AES_CM_128_HMAC_SHA1_32", Ours: long, Theirs: long},
		"one for both directions": {Profile: ProfileCM, Ours: long, Theirs: long},
		"too short":               {Profile: ProfileCM, Ours: long, Theirs: short},
		"none":                    {Profile: ProfileGCM, Ours: short},
	} {
		s, err := Open(Config{RTP: testRTP, RTCP: testRTCP, SRTP: k})
		if !errors.Is(err, ErrKeys) || bytes.Contains([]byte(fmt.Sprint(err)), []byte("KK")) {
			t.Errorf("%s: Open = %v, %v, want ErrKeys", name, s, err)
		}
	}
}

// BenchmarkSeal is the price of SRTP for a packet of 1,250 bytes.
func BenchmarkSeal(b *testing.B) {
	for _, profile := range []string{ProfileCM, ProfileGCM} {
		b.Run(profile, func(b *testing.B) {
			c, err := newSRTPContext(testKeys(profile, 1))
			if err != nil {
				b.Fatal(err)
			}
			p := make([]byte, 1250)
			sequence := uint16(0)
			b.ReportAllocs()
			for b.Loop() {
				sequence++
				packet.PutHeader(p, false, true, sequence, 0, testSSRC)
				if _, err := c.encryptRTP(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestSealingAllocatesNothing(t *testing.T) {
	for _, profile := range []string{ProfileCM, ProfileGCM} {
		c, err := newSRTPContext(testKeys(profile, 1))
		if err != nil {
			t.Fatal(err)
		}
		p, sequence := make([]byte, 1250), uint16(0)
		if n := testing.AllocsPerRun(1000, func() {
			sequence++
			packet.PutHeader(p, false, true, sequence, 0, testSSRC)
			if _, err := c.encryptRTP(p); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a packet, want 0", profile, n)
		}
	}
}

package receiver

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

const (
	sourceSSRC   = 0x1234
	strangerSSRC = 0x6666
)

var (
	sourceAt   = netip.MustParseAddrPort("192.0.2.1:5006")
	portMoved  = netip.MustParseAddrPort("192.0.2.1:40000")
	elsewhere  = netip.MustParseAddrPort("198.51.100.1:5006")
	strangerAt = netip.MustParseAddrPort("203.0.113.9:5006")
	asker      = sourceAt.Addr()

	askerAt6 = netip.MustParseAddrPort("[2001:db8::1]:5006")
	otherAt6 = netip.MustParseAddrPort("[2001:db8::2]:5006")
	asker6   = askerAt6.Addr()
)

// play passes n packets in a row to the latch, 10 ms apart, and gives the last verdict.
func (l *latch) play(from netip.AddrPort, ssrc uint32, first uint16, n int, at *time.Duration) (v verdict) {
	for i := range n {
		v = l.judge(arrival{from: from, ssrc: ssrc, number: first + uint16(i), at: *at}, []byte{byte(i)})
		*at += 10 * time.Millisecond
	}
	return v
}

func TestLatchKnowsTheSource(t *testing.T) {
	type step struct {
		name  string
		wait  time.Duration
		from  netip.AddrPort
		ssrc  uint32
		first uint16
		n     int
		want  verdict // of the last packet
	}
	holds := step{"the source", 0, sourceAt, sourceSSRC, 65530, 10, verdictOurs}
	for _, c := range []struct {
		name      string
		announced uint32
		asker     netip.Addr
		steps     []step
	}{
		{"with an announced SSRC nobody else is taken, however early, long and alone", sourceSSRC, asker, []step{
			{"a stranger's SSRC", 0, strangerAt, strangerSSRC, 1, 1000, verdictStranger},
			{"the same from the source's own host", 0, portMoved, strangerSSRC, 1, 1000, verdictStranger},
			{"the source's first packet", 0, sourceAt, sourceSSRC, 65530, 1, verdictNew}, holds,
		}},
		{"without one the asker's address decides", 0, asker, []step{
			{"a stranger", 0, strangerAt, strangerSSRC, 1, 1000, verdictStranger},
			{"the source, once two packets came in a row", 0, sourceAt, sourceSSRC, 65528, 2, verdictNew}, holds,
			{"a stranger while the source is silent", time.Hour, strangerAt, sourceSSRC, 1, 1000, verdictStranger},
			{"the source again", 0, sourceAt, sourceSSRC, 4, 1, verdictOurs},
		}},
		{"behind a proxy the announced SSRC suffices, after a grace", sourceSSRC, asker, []step{
			{"at once", 0, elsewhere, sourceSSRC, 1, 100, verdictWaits},
			{"after 2 s", time.Second, elsewhere, sourceSSRC, 101, 1, verdictNew},
		}},
		{"who knows the SSRC gives way to the asker's own address", sourceSSRC, asker, []step{
			{"an impostor, alone", 0, strangerAt, sourceSSRC, 1, 199, verdictWaits},
			{"an impostor after the grace", 10 * time.Millisecond, strangerAt, sourceSSRC, 200, 1, verdictNew},
			{"the source", 0, sourceAt, sourceSSRC, 900, 2, verdictNew},
			{"the impostor again", 0, strangerAt, sourceSSRC, 203, 1, verdictWaits},
		}},
		{"who knows the SSRC does not get the stream of a source that sends", sourceSSRC, asker, []step{
			{"the source", 0, sourceAt, sourceSSRC, 65530, 10, verdictOurs},
			{"another address with the next number", 0, strangerAt, sourceSSRC, 4, 3, verdictWaits},
			{"the source goes on", 0, sourceAt, sourceSSRC, 4, 1, verdictOurs},
		}},
		{"a NAT gives a new port", sourceSSRC, asker, []step{
			{"the source", 0, sourceAt, sourceSSRC, 65530, 10, verdictOurs},
			{"at once it may be somebody else", 0, portMoved, sourceSSRC, 4, 2, verdictWaits},
			{"once the old port is silent", portChangeSilence, portMoved, sourceSSRC, 40, 1, verdictWaits},
			{"and two packets came", 0, portMoved, sourceSSRC, 41, 1, verdictMoved},
		}},
		{"a NAT gives a new port to a source that announced nothing", 0, asker, []step{
			{"the source", 0, sourceAt, sourceSSRC, 65530, 10, verdictOurs},
			{"the new port", portChangeSilence, portMoved, sourceSSRC, 40, 2, verdictMoved},
		}},
		{"a new port whose numbers do not go on is no NAT's", sourceSSRC, asker, []step{
			{"the source", 0, sourceAt, sourceSSRC, 65530, 10, verdictOurs},
			{"far away numbers", time.Second, portMoved, sourceSSRC, 30000, 9, verdictWaits},
		}},
		{"a new address needs silence of the old one", sourceSSRC, asker, []step{
			{"the source", 0, sourceAt, sourceSSRC, 65530, 10, verdictOurs},
			{"after a second", time.Second, elsewhere, sourceSSRC, 60, 2, verdictWaits},
			{"after two", time.Second, elsewhere, sourceSSRC, 120, 2, verdictMoved},
		}},
		{"a program that starts over has another SSRC, once the old one is silent", 0, asker, []step{
			{"the source", 0, sourceAt, sourceSSRC, 65530, 10, verdictOurs},
			{"too early", time.Second, portMoved, 7, 1, 2, verdictWaits},
			{"soon enough", time.Second, portMoved, 7, 3, 1, verdictNew},
		}},
		{"a source whose asker is not known", 0, netip.Addr{}, []step{
			{"the first", 0, sourceAt, sourceSSRC, 65530, 2, verdictNew},
			{"another", 0, strangerAt, strangerSSRC, 1, 2, verdictWaits},
			{"another that insists", 100 * time.Millisecond, strangerAt, strangerSSRC, 3, 80, verdictWaits},
		}},
		{"localhost is one machine, by either name", 0, netip.IPv6Loopback(), []step{
			{"by IPv4", 0, netip.MustParseAddrPort("127.0.0.1:5006"), sourceSSRC, 1, 2, verdictNew},
			{"another address", 0, netip.MustParseAddrPort("127.0.0.2:5006"), sourceSSRC, 1, 2, verdictStranger},
		}},
		{"a source without a number that asks by IPv6 and sends by IPv4", 0, asker6, []step{
			{"at once it may be a stranger", 0, sourceAt, sourceSSRC, 1, 100, verdictWaits},
			{"after 2 s it is the source", time.Second, sourceAt, sourceSSRC, 101, 1, verdictNew},
			{"and goes on", 0, sourceAt, sourceSSRC, 102, 1000, verdictOurs},
			{"a stranger of that family does not displace it", 0, strangerAt, strangerSSRC, 1, 5, verdictWaits},
			{"another IPv6 address is a stranger", 0, otherAt6, sourceSSRC, 1102, 1000, verdictStranger},
			{"the address that asked takes over", 0, askerAt6, strangerSSRC, 7, 2, verdictNew},
		}},
		{"and one that asks by IPv4 and sends by IPv6", 0, asker, []step{
			{"at once", 0, otherAt6, sourceSSRC, 1, 100, verdictWaits},
			{"after 2 s", time.Second, otherAt6, sourceSSRC, 101, 1, verdictNew},
		}},
		{"once the asker's address has sent, the other family is shut out", 0, asker6, []step{
			{"the source", 0, askerAt6, sourceSSRC, 1, 10, verdictOurs},
			{"a stranger in its silence", time.Hour, strangerAt, sourceSSRC, 11, 1000, verdictStranger},
		}},
		{"who asks from this machine sends from it", 0, netip.IPv6Loopback(), []step{
			{"a stranger of the other family", 0, strangerAt, sourceSSRC, 1, 1000, verdictStranger},
		}},
		{"packets out of order are no source", 0, asker, []step{
			{"a probe", 0, sourceAt, sourceSSRC, 1, 1, verdictWaits},
			{"another", 0, sourceAt, sourceSSRC, 900, 1, verdictWaits},
			{"the same twice", 0, sourceAt, sourceSSRC, 900, 1, verdictWaits},
			{"the next", 0, sourceAt, sourceSSRC, 901, 1, verdictNew},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, at := latch{announced: c.announced, asker: c.asker}, 100*time.Second
			for _, s := range c.steps {
				at += s.wait
				if got := l.play(s.from, s.ssrc, s.first, s.n, &at); got != s.want {
					t.Errorf("%s: verdict %d, want %d", s.name, got, s.want)
				}
			}
		})
	}
}

// The address from which the source asks may change: a board that gets a new one.
func TestLatchFollowsTheAsker(t *testing.T) {
	l, at := latch{asker: asker}, time.Duration(0)
	l.play(sourceAt, sourceSSRC, 1, 10, &at)
	l.asker = elsewhere.Addr()
	if got := l.play(sourceAt, sourceSSRC, 11, 1, &at); got != verdictOurs {
		t.Errorf("verdict %d of the old address while nothing comes from the new one", got)
	}
	if got := l.play(elsewhere, sourceSSRC, 12, 2, &at); got != verdictNew {
		t.Errorf("verdict %d of the new address", got)
	}
}

// What comes before a source is valid is its first key frame.
func TestLatchGivesBackWhatItKept(t *testing.T) {
	l, at := latch{asker: asker}, time.Duration(0)
	l.play(sourceAt, sourceSSRC, 7, 2, &at)
	if due := l.takeDue(); len(due) != 2 || due[0][0] != 0 || due[1][0] != 1 || l.takeDue() != nil {
		t.Errorf("due %v, want both packets, once", due)
	}
}

func TestLatchKeepsLittleOfAFlood(t *testing.T) {
	l, random := latch{}, rand.New(rand.NewPCG(1, 1))
	datagram := make([]byte, 60_000)
	for i := range 10_000 {
		at := time.Duration(i) * time.Microsecond
		l.judge(arrival{from: strangerAt, ssrc: random.Uint32(), number: uint16(i * 7), at: at}, datagram)
		l.judge(arrival{from: elsewhere, ssrc: strangerSSRC, number: uint16(i * 3), at: at}, datagram)
	}
	bytes := 0
	for _, c := range l.candidates {
		bytes += c.keptBytes
	}
	if len(l.candidates) > candidatesMax || bytes > candidatesMax*keptBytesMax {
		t.Errorf("%d candidates keep %d bytes", len(l.candidates), bytes)
	}
}

func TestByeIsBelievedOnceNothingComesAfterIt(t *testing.T) {
	l, at := latch{asker: asker}, time.Duration(0)
	l.play(sourceAt, sourceSSRC, 1, 10, &at)
	number := uint16(11)
	for range 1000 { // a BYE every 10 ms, for 10 s, while the source goes on
		l.takeBye(at)
		if l.play(sourceAt, sourceSSRC, number, 1, &at); l.hasSaidBye(at) || l.isGone(at) {
			t.Fatalf("a BYE was believed at %v although packets go on", at)
		}
		number++
	}
	l.takeBye(at)
	at += byeReordered + 10*time.Millisecond
	l.play(sourceAt, sourceSSRC, number, 1, &at)
	if at += byeSilence; l.hasSaidBye(at) || l.byesIgnored == 0 {
		t.Errorf("believed %v, %d ignored, want a BYE undone by the packets after it", l.hasSaidBye(at), l.byesIgnored)
	}
	l.takeBye(at)
	if at += byeSilence; !l.hasSaidBye(at) || !l.isGone(at) {
		t.Error("a BYE and silence were not believed")
	}
	if got := l.play(sourceAt, sourceSSRC, number+1, 1, &at); got != verdictOurs || l.hasSaidBye(at) {
		t.Errorf("verdict %d, believed %v: want a source that goes on taken up again", got, l.hasSaidBye(at))
	}
}

// FuzzLatch: with an announced SSRC nothing else is ever the source, and memory is bounded.
func FuzzLatch(f *testing.F) {
	f.Add([]byte("0123456789012345678901234567890123456789"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, at := latch{announced: sourceSSRC, asker: asker}, time.Duration(0)
		from := []netip.AddrPort{sourceAt, portMoved, elsewhere, strangerAt}
		for ; len(b) >= 4; b = b[4:] {
			ssrc := []uint32{sourceSSRC, strangerSSRC}[b[0]>>2&1]
			at += time.Duration(b[1]) * 10 * time.Millisecond
			a := arrival{from[b[0]&3], ssrc, binary.BigEndian.Uint16(b[2:]), at, time.Time{}}
			if b[0]&8 != 0 {
				l.takeBye(at)
			}
			v := l.judge(a, b)
			if ssrc != sourceSSRC && v != verdictStranger {
				t.Fatalf("%v: verdict %d", a, v)
			}
			if (v == verdictNew || v == verdictMoved) && len(l.takeDue()) == 0 {
				t.Fatalf("%v: verdict %d, and nothing is due", a, v)
			}
			if len(l.candidates) > candidatesMax {
				t.Fatal(fmt.Sprint(len(l.candidates), " candidates"))
			}
		}
	})
}

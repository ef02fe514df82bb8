package main

import (
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/beevik/ntp"
)

// ntpTime is t as an NTP time stamp of 64 bits.
func ntpTime(t time.Time) uint64 {
	since := t.Sub(era0)
	return uint64(since/time.Second)<<32 | uint64(since%time.Second)<<32/uint64(time.Second)
}

// A packet is an answer before it is sent (RFC 5905 section 7.3).
type packet struct {
	leap, version, mode, stratum       byte
	rootDelay, rootDispersion          uint32 // 1/65536 s
	reference                          string // four bytes
	set, origin, received, transmitted uint64
}

func (p packet) bytes() []byte {
	b := []byte{p.leap<<6 | p.version<<3 | p.mode, p.stratum, 6, 0xe9}
	b = binary.BigEndian.AppendUint32(b, p.rootDelay)
	b = binary.BigEndian.AppendUint32(b, p.rootDispersion)
	b = append(b, p.reference...)
	for _, t := range []uint64{p.set, p.origin, p.received, p.transmitted} {
		b = binary.BigEndian.AppendUint64(b, t)
	}
	return b
}

// serve answers questions as a good server does, after change has had its way with the answer; nil
// bytes are no answer. It returns the server's address.
func serve(t *testing.T, change func(*packet) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		question := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			now := time.Now()
			p := packet{
				version: 4, mode: 4, stratum: 2, rootDelay: 1 << 10, rootDispersion: 1 << 8,
				reference: "\xc0\x00\x02\x01",
				set:       ntpTime(now.Add(-time.Minute)), origin: binary.BigEndian.Uint64(question[40:]),
				received: ntpTime(now), transmitted: ntpTime(now),
			}
			if b := change(&p); b != nil {
				_, _ = conn.WriteTo(b, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().String()
}

func TestAnswersThatMustNotBeBelieved(t *testing.T) {
	floor := time.Now().Add(-30 * 24 * time.Hour)
	at := func(p *packet, t time.Time) {
		p.set, p.received, p.transmitted = ntpTime(t.Add(-time.Minute)), ntpTime(t), ntpTime(t)
	}
	cases := []struct {
		name   string
		change func(*packet)
		want   error
		words  string
	}{
		{"a good one", func(*packet) {}, nil, ""},
		{"one that is a week off", func(p *packet) { at(p, time.Now().Add(7*24*time.Hour)) }, nil, ""},
		{"stratum 1", func(p *packet) { p.stratum, p.reference = 1, "GPS\x00" }, nil, ""},
		{"reference time 0", func(p *packet) { p.set = 0 }, errNeverSynchronised, "reference time is 0"},
		{"leap indicator 3", func(p *packet) { p.leap = 3 }, ntp.ErrInvalidLeapSecond, "not synchronised"},
		{"stratum 16", func(p *packet) { p.stratum = 16 }, ntp.ErrInvalidStratum, "stratum 16"},
		{"stratum 255", func(p *packet) { p.stratum = 255 }, ntp.ErrInvalidStratum, "stratum 255"},
		{"RATE", func(p *packet) { p.stratum, p.reference = 0, "RATE" }, ntp.ErrKissOfDeath, "fewer questions"},
		{"DENY", func(p *packet) { p.stratum, p.reference, p.leap = 0, "DENY", 3 }, ntp.ErrKissOfDeath,
			"does not serve us (DENY)"},
		{"INIT", func(p *packet) { p.stratum, p.reference = 0, "INIT" }, errNoTime,
			"not synchronised (stratum 0, code \"INIT\""},
		{"stratum 0 without a code", func(p *packet) { p.stratum, p.reference = 0, "\x00\x00\x00\x00" }, errNoTime,
			"not sync"},
		{"an answer to another question", func(p *packet) { p.origin++ }, ntp.ErrServerResponseMismatch, "match"},
		{"an answer to no question", func(p *packet) { p.origin = 0 }, ntp.ErrServerResponseMismatch, "match"},
		{"root dispersion of 4 s", func(p *packet) { p.rootDispersion = 4 << 16 }, errRootDistance, "uncertain"},
		{"root delay of 8 s", func(p *packet) { p.rootDelay = 8 << 16 }, errRootDistance, "uncertain"},
		{"the largest root delay", func(p *packet) { p.rootDelay = 1<<32 - 1 }, errRootDistance, "uncertain"},
		{"sent before it came", func(p *packet) { p.received += 5 << 32 }, ntp.ErrServerTickedBackwards, "backwards"},
		{"held for longer than we waited", func(p *packet) { p.received -= 30 << 32 }, errDelay, "contradict"},
		{"before this program was built", func(p *packet) { at(p, floor.Add(-time.Hour)) }, errBeforeFloor, "floor"},
		{"GPS weeks counted wrong", func(p *packet) { at(p, time.Now().Add(1024*7*24*time.Hour)) }, errTooLate,
			"beyond belief"},
		{"2106", func(p *packet) { at(p, time.Date(2106, 1, 1, 0, 0, 0, 0, time.UTC)) }, nil, "answer of"},
		{"no time at all", func(p *packet) { p.received, p.transmitted = 0, 0 }, nil, "ask"},
		{"set two days ago", func(p *packet) { p.set -= 48 * 3600 << 32 }, ntp.ErrServerClockFreshness, "fresh"},
		{"set tomorrow", func(p *packet) { p.set += 24 * 3600 << 32 }, ntp.ErrInvalidTime, "invalid time"},
		{"a question instead of an answer", func(p *packet) { p.mode = 3 }, ntp.ErrInvalidMode, "mode"},
	}
	for _, c := range cases {
		server := serve(t, func(p *packet) []byte { c.change(p); return p.bytes() })
		s, err := asker{floor}.ask(t.Context(), server)
		if c.words == "" {
			if err != nil || s.distance <= 0 {
				t.Errorf("%s: ask = %+v, %v, want no error", c.name, s, err)
			}
			continue
		}
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) ||
			!strings.Contains(err.Error(), server) {
			t.Errorf("%s: ask = %+v, %v, want %v in words such as %q", c.name, s, err, c.want, c.words)
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string][]byte{"short": make([]byte, 47), "one byte": {1}, "text": []byte("hello")} {
		server := serve(t, func(*packet) []byte { return answer })
		if s, err := (asker{}).ask(t.Context(), server); err == nil {
			t.Errorf("%s: ask = %+v, want an error", name, s)
		}
	}
}

func TestMajorityOfServersOnTheWire(t *testing.T) {
	shifted := func(by time.Duration) string {
		return serve(t, func(p *packet) []byte {
			now := time.Now().Add(by)
			p.set, p.received, p.transmitted = ntpTime(now.Add(-time.Minute)), ntpTime(now), ntpTime(now)
			return p.bytes()
		})
	}
	liar := shifted(time.Hour)
	w, c := newWorld(t, liar, shifted(0), shifted(0), serve(t, func(p *packet) []byte { p.set = 0; return p.bytes() }))
	c.ask = asker{}.ask
	c.askServers(t.Context(), lan)
	if len(w.set) != 1 || w.set[0].server == liar || w.set[0].offset.Abs() > 10*time.Second {
		t.Errorf("set by %+v, want one of the two that agree", w.set)
	}
	if !strings.Contains(w.log.String(), `"time server is wrong" server=`+liar) {
		t.Errorf("the liar is not named:\n%s", &w.log)
	}
}

func FuzzJudgeAnswer(f *testing.F) {
	const at = 1 << 63
	f.Add(packet{version: 4, stratum: 2, reference: "abcd", set: at, received: at, transmitted: at}.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 48 {
			return
		}
		stamp := func(i int) time.Time { return era0.Add(time.Duration(binary.BigEndian.Uint32(b[i:])) * time.Second) }
		r := &ntp.Response{
			Version: 4, Stratum: b[1], Leap: ntp.LeapIndicator(b[0] >> 6), ReferenceTime: stamp(16), Time: stamp(40),
			RootDelay:      time.Duration(int32(binary.BigEndian.Uint32(b[4:]))) * time.Microsecond,
			RootDispersion: time.Duration(int32(binary.BigEndian.Uint32(b[8:]))) * time.Microsecond,
			Timestamps: ntp.ProtocolTimestamps{
				ClientXmit: stamp(24), ServerRecv: stamp(32), ServerXmit: stamp(40), ClientRecv: stamp(24),
			},
		}
		r.RootDistance = r.RootDelay/2 + r.RootDispersion
		floor := time.Unix(1_700_000_000, 0)
		if judgeAnswer(r, floor) != nil {
			return
		}
		if r.Stratum == 0 || r.Stratum > 15 || r.Leap == 3 || r.Time.Before(floor) || r.RootDistance > maxRootDistance {
			t.Errorf("believed %+v", r)
		}
	})
}

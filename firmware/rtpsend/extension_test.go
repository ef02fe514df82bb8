package rtpsend

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/session"
)

func TestFirstPacketOfAFrameBearsTheCaptureTimeAlsoWhenTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{CaptureTimeID: 3, RTX: true})
		defer r.Close()
		want := []uint64{}
		for _, wall := range []time.Duration{0, 1000 * time.Hour} {
			r.wall.Store(int64(wall))
			time.Sleep(time.Second)
			want = append(want, session.NTP(time.Now().Add(wall-40*time.Millisecond)))
			if err := r.Send(make([]byte, 4000), true, r.cfg.Monotonic()-40*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		r.feed(t, nack(65534))
		synctest.Wait()
		if n := r.left(); n != 7 {
			t.Fatalf("%d packets, want 2 frames of 3 and one again", n)
		}
		for i, p := range r.media.packets {
			b := p.GetExtension(3)
			if i%3 == 0 && (len(b) != 8 || binary.BigEndian.Uint64(b) != want[i/3%2]) {
				t.Errorf("packet %d: capture time % x, want %#x", i, b, want[i/3%2])
			}
			if i%3 != 0 && p.Extension {
				t.Errorf("packet %d has an extension", i)
			}
			n := 12 + len(p.Payload)
			if p.Extension {
				n += packet.CaptureTimeSize
			}
			if n > packet.MaxSize {
				t.Errorf("packet %d does not fit", i)
			}
		}
	})
}

func TestMuxSendsAndHearsOnOnePort(t *testing.T) {
	far, at := listen(t, "127.0.0.1")
	s, err := Open(Config{RTP: at, RTCP: at})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.SDP(), "a=rtcp-mux\r\n") {
		t.Errorf("SDP:\n%s", s.SDP())
	}
	if err := s.Send(make([]byte, 2000), true, monotonic()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	var media, reports int
	for range 3 {
		_ = far.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, from, err := far.ReadFromUDPAddrPort(b)
		if err != nil || int(from.Port()) != s.LocalRTCPPort() {
			t.Fatalf("%d bytes from %v, %v, want port %d", n, from, err, s.LocalRTCPPort())
		}
		if b[1] == 200 {
			reports++
			answer := marshal(t, &rtcp.ReceiverReport{SSRC: 1}, pli(s.SSRC()))
			if _, err := far.WriteToUDPAddrPort(answer, from); err != nil {
				t.Fatal(err)
			}
		} else {
			media++
		}
	}
	for end := time.Now().Add(5 * time.Second); s.Stats().PLIs == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := s.Stats().PLIs; media != 2 || reports != 1 || got != 1 {
		t.Errorf("%d RTP and %d RTCP packets there, %d PLIs back, want 2, 1, 1", media, reports, got)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	for said := false; !said; { // a regular report may have been due before
		_ = far.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := far.Read(b)
		if err != nil || b[1] != 200 {
			t.Fatalf("%d bytes, %v, want SR, SDES and at last BYE", n, err)
		}
		said = strings.Contains(string(b[:n]), "\x81\xcb")
	}
	_ = far.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := far.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v after the BYE, want nothing", n, err)
	}
}

package receiver

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestABufferBeyondTheSystemsLimitIsHalvedUntilItIsTaken(t *testing.T) {
	for _, c := range []struct{ limit, want int }{
		{64 << 20, sharedBuffer}, {8 << 20, 8 << 20}, {7 << 20, 4 << 20}, {0, 0},
	} {
		got := halveUntilTaken(sharedBuffer, func(size int) error {
			if size > c.limit {
				return errors.New("no buffer space available")
			}
			return nil
		})
		if got != c.want {
			t.Errorf("with a limit of %d, %d bytes are taken, want %d", c.limit, got, c.want)
		}
	}
}

// linuxDefault is what a Linux gives whose net.core.rmem_max nobody changed.
const linuxDefault = 2 * 212992

func TestASmallBufferIsReadMoreOftenAndWarnedOf(t *testing.T) {
	for _, c := range []struct {
		buffer, streams int
		pause           time.Duration
		warns           bool
	}{
		{2 * sharedBuffer, 1000, readPause, false},
		{linuxDefault, 100, readPause, false},
		{linuxDefault, 200, readPause, true},
		{linuxDefault, 1000, 1533 * time.Microsecond, true},
	} {
		var log bytes.Buffer
		warnOfBuffer(slog.New(slog.NewTextHandler(&log, nil)), c.buffer, c.streams)
		pause := pauseFor(c.buffer, c.streams)
		if (pause-c.pause).Abs() > time.Microsecond || (log.Len() > 0) != c.warns {
			t.Errorf("%d bytes for %d streams: pause %v, log %q; want %v, a warning: %v", c.buffer, c.streams, pause,
				log.String(), c.pause, c.warns)
		}
		if words := "receive buffer"; c.warns && !strings.Contains(log.String(), words) {
			t.Errorf("log %q, want words of the %s", log.String(), words)
		}
	}
}

func TestASocketSaysWhatBufferItHas(t *testing.T) {
	s, err := listenUDP("127.0.0.1", 0, poolBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if udp, ok := s.(udpSocket); !ok || udp.buffer < readBufferMin {
		t.Errorf("%+v, want the buffer that the system gave", s)
	}
}

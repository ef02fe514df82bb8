// What the log calls trouble, and what belongs to every start.

package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// logOfStart runs a start: new_utilization_id fails with err for so long, then so many validations
// say that nothing is captured, and then all is well.
func logOfStart(t *testing.T, err error, uncaptured int, lasts time.Duration) string {
	t.Helper()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		began := time.Now()
		b := &bench{takes: func() time.Duration { return 10 * time.Millisecond }, ended: func() bool { return false }}
		b.fails = func(p point) error {
			switch {
			case p == pointNew && time.Since(began) < lasts:
				return err
			case p == pointCaptured && uncaptured > 0:
				uncaptured--
				return ErrUncaptured
			}
			return nil
		}
		s := NewSession(SessionConfig{
			Asker: b, Policy: Policy{Resolver: b, Local: noInterfaces}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		_ = s.Run(ctx, 640, 480, b)
	})
	return log.String()
}

func TestHealthyStartsLogNoTrouble(t *testing.T) {
	unsent := fmt.Errorf("%w: %w", ErrUnreachable, errNeverSent)
	for _, c := range []struct {
		name       string
		err        error
		lasts      time.Duration
		uncaptured int
		trouble    int
	}{
		{"nothing at all", nil, 0, 0, 0},
		{"no address for 6 s", unsent, 6 * time.Second, 0, 0},
		{"no address for 6 s, and no frame at first", unsent, 3 * time.Second, 1, 0},
		{"no frame at the first two validations", nil, 0, 2, 0},
		{"no address for 15 s", unsent, 15 * time.Second, 0, 1},
		{"no frame for long", nil, 0, 5, 1},
		{"a gateway that is not there for a second", ErrUnreachable, time.Second, 0, 1},
		{"a wrong key", refused(4011), time.Minute, 0, 1},
		{"another error", errors.New("x"), 40 * time.Second, 0, 1},
	} {
		log := logOfStart(t, c.err, c.uncaptured, c.lasts)
		begins, ends := strings.Count(log, `msg="gateway: trouble"`), strings.Count(log, "trouble is over")
		if begins != c.trouble || ends != c.trouble || strings.Count(log, "level=WARN") != c.trouble {
			t.Errorf("%s: trouble begins %d times and ends %d times, want %d:\n%s",
				c.name, begins, ends, c.trouble, log)
		}
	}
}

package pull

import (
	"errors"
	"net/http"
	"testing"
)

// Whatever a server says of a range, what is taken begins where it was asked for and ends not later.
func FuzzContentRange(f *testing.F) {
	for _, text := range []string{"bytes 0-99/1000", "bytes 0-99/*", "bytes 5-99/1000", "x"} {
		f.Add(text, int64(0), int64(100))
	}
	f.Fuzz(func(t *testing.T, text string, pos, until int64) {
		s := source{pos: pos, until: until, total: -1}
		err := s.takeRange(http.Header{"Content-Range": {text}})
		var broken *brokenError
		switch {
		case err != nil && !errors.Is(err, ErrServer) && !errors.As(err, &broken):
			t.Errorf("%q: %v, want %v", text, err, ErrServer)
		case err == nil && (s.end <= pos || s.end > until || s.total < -1):
			t.Errorf("%q from %d to %d: ends at %d of %d", text, pos, until, s.end, s.total)
		}
	})
}

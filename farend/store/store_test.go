package store

import (
	"log/slog"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestStatsThatWaitAreBounded(t *testing.T) {
	w := NewStatsWriter(nil, time.Hour, slog.New(slog.DiscardHandler))
	for n := range statsWaitingMax + 500 {
		w.Put(StreamStats{Stream: string(rune(n)) + "x", At: time.Unix(1, 0)})
	}
	if n := len(w.waiting); n > statsWaitingMax {
		t.Errorf("%d streams wait, want at most %d", n, statsWaitingMax)
	}
	w.Put(StreamStats{Stream: "\x00x", At: time.Unix(2, 0)})
	if got := w.waiting["\x00x"].At; !got.Equal(time.Unix(2, 0)) {
		t.Errorf("newer counts of a stream that waits were left out: %v", got)
	}
}

func TestStepsOfTheSchemaAreThere(t *testing.T) {
	if n := len(migrations()); n < 2 {
		t.Errorf("%d steps, want 2 or more", n)
	}
}

// FuzzParseIDs: whatever stands in the file, reading it ends, and gives no id twice out of lines.
func FuzzParseIDs(f *testing.F) {
	for _, seed := range []string{
		`[{"id":"a","key_sha256":"b"}]`, `{"id":5,"made":1}` + "\n" + `{"id":5,"used":2}` + "\n" + `{"id":"to`,
		"{\"id\":\"a\"}\n\x00\x00\x00", "\n\n", "[", `{"id":{}}` + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseIDs(b)
		if err != nil || len(b) == 0 || b[0] != '{' {
			return
		}
		seen := map[wire.ID]bool{}
		for _, one := range all {
			if seen[one.ID] {
				t.Errorf("%v came twice", one.ID)
			}
			seen[one.ID] = true
		}
	})
}

// Streams, their limits, their end and their statistics.

package storetest

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
)

func testStream(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna := customer(t, s, "anna")
	board := source(t, s, anna, noon)
	one := granted("s1", board)
	begin(t, s, one, at(time.Second))
	one.Since, one.LastSeen = at(time.Second), at(time.Second)
	same(t, "granted", get[store.Stream](t)(s.ActiveStream(ctx, board.ID)), one)
	same(t, "use", get[store.Source](t)(s.SourceByID(ctx, board.ID)).Used, at(time.Second))

	one.Place = stream.Place{Host: "video.example", RTPPort: 5004, RTCPPort: 5005, RTX: true,
		Transport: 3, CaptureTime: 5}
	ok(t, s.SetPlace(ctx, "s1", one.Place))
	one.LastSeen = at(time.Minute)
	ok(t, s.TouchStream(ctx, "s1", one.LastSeen))
	same(t, "touched, by another process", get[store.Stream](t)(open(t).StreamByID(ctx, "s1")), one)
	same(t, "active", get[[]store.Stream](t)(s.ActiveStreams(ctx, store.StreamFilter{})), []store.Stream{one})

	ok(t, s.EndStream(ctx, "s1", "stopped by the source", at(time.Hour)))
	one.Ended, one.Because = at(time.Hour), "stopped by the source"
	ended := get[[]store.Stream](t)(s.EndedStreams(ctx, store.StreamFilter{Source: board.ID}))
	same(t, "ended", ended, []store.Stream{one})
	same(t, "use", get[store.Source](t)(s.SourceByID(ctx, board.ID)).Used, at(time.Hour))
	_, err := s.ActiveStream(ctx, board.ID)
	want(t, "ActiveStream of one that ended", err, store.ErrUnknown)
	want(t, "second end", s.EndStream(ctx, "s1", "again", at(2*time.Hour)), store.ErrUnknown)
	want(t, "touch of one that ended", s.TouchStream(ctx, "s1", at(2*time.Hour)), store.ErrUnknown)
	want(t, "place of one that ended", s.SetPlace(ctx, "s1", one.Place), store.ErrUnknown)

	second := granted("s2", board)
	second.Asker = netip.Addr{}
	begin(t, s, second, at(3*time.Hour))
	if got := get[store.Stream](t)(s.StreamByID(ctx, "s2")); got.Asker.IsValid() {
		t.Errorf("asker %v, want none", got.Asker)
	}
	taken := granted("s1", source(t, s, anna, noon))
	want(t, "an ID that is taken", s.BeginStream(ctx, taken, 0, noon), store.ErrExists)
}

func testLimits(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna, bert := customer(t, s, "anna"), customer(t, s, "bert")
	a, b, c := source(t, s, anna, noon), source(t, s, anna, noon), source(t, s, anna, noon)
	his := source(t, s, bert, noon)
	for _, one := range []struct {
		what   string
		stream store.Stream
		want   error
	}{
		{"the first", granted("1", a), nil},
		{"a second of the same source", granted("2", a), store.ErrActive},
		{"a second camera of two", granted("3", b), nil},
		{"a third camera of two", granted("4", c), store.ErrCamerasMax},
		{"another customer", granted("5", his), nil},
		{"a source of another customer", store.Stream{ID: "6", Source: his.ID, Customer: anna.ID}, store.ErrUnknown},
		{"a source of nobody", store.Stream{ID: "7", Customer: anna.ID}, store.ErrUnknown},
	} {
		if err := s.BeginStream(ctx, one.stream, 2, noon); one.want == nil {
			ok(t, err)
		} else {
			want(t, one.what, err, one.want)
		}
	}
	ok(t, s.EndStream(ctx, "3", "over", at(time.Second)))
	ok(t, s.BeginStream(ctx, granted("8", c), 2, at(time.Second)))
	if n := len(get[[]store.Stream](t)(s.ActiveStreams(ctx, store.StreamFilter{Customer: anna.ID}))); n != 2 {
		t.Errorf("%d active streams of hers, want 2", n)
	}
}

func testExpiry(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna := customer(t, s, "anna")
	for i := range 4 {
		one := granted(streamID(i), source(t, s, anna, noon))
		one.Lease = 5 * time.Minute
		if i == 3 {
			one.Server, one.Lease = "two", time.Minute
		}
		begin(t, s, one, at(time.Duration(i)*time.Minute))
	}
	ok(t, s.TouchStream(ctx, streamID(0), at(10*time.Minute)))
	ended := get[[]store.Stream](t)(s.EndExpired(ctx, 5*time.Minute, "silent", at(11*time.Minute)))
	if len(ended) != 1 || ended[0].Server != "two" || ended[0].Lease != time.Minute {
		t.Errorf("ended: %+v, want the one whose whole lease sources could ask", ended)
	}
	ended = get[[]store.Stream](t)(s.EndExpired(ctx, time.Hour, "silent", at(11*time.Minute)))
	if len(ended) != 2 || ended[0].Because != "silent" || !ended[0].Ended.Equal(at(11*time.Minute)) {
		t.Errorf("%d ended: %+v, want those that were not touched", len(ended), ended)
	}
	again := get[[]store.Stream](t)(s.EndExpired(ctx, time.Hour, "silent", at(12*time.Minute)))
	if len(again) > 0 {
		t.Errorf("ended once more: %+v", again)
	}
	if other := get[[]store.Stream](t)(s.EndStreamsOf(ctx, "two", "gone", at(13*time.Minute))); len(other) > 0 {
		t.Errorf("ended of a server without active ones: %+v", other)
	}
	ended = get[[]store.Stream](t)(s.EndStreamsOf(ctx, "one", "gone", at(13*time.Minute)))
	if len(ended) != 1 || ended[0].ID != streamID(0) {
		t.Errorf("ended of the server: %+v, want the one that is left", ended)
	}
	latest := get[[]store.Stream](t)(s.EndedStreams(ctx, store.StreamFilter{Server: "one", Limit: 2}))
	if len(latest) != 2 || latest[0].ID != streamID(0) {
		t.Errorf("latest ended: %+v", latest)
	}
}

// busy are statistics with something in most fields.
func busy(n int) stream.Stats {
	rtt, delay := 12*time.Millisecond, 80*time.Millisecond
	return stream.Stats{State: stream.StateStreaming, SSRC: 7, Address: netip.MustParseAddrPort("192.0.2.5:5004"),
		Begun: noon, HeardAt: at(time.Duration(n) * time.Second), Width: 640, Height: 480, FPS: 29.97, Bitrate: 300_000,
		Loss: 0.0125, Quantizer: 30, Jitter: time.Millisecond, RTT: &rtt, Delay: &delay, DelayBy: stream.DelayByClock,
		Packets: uint64(n) * 40, Bytes: uint64(n) * 40_000, Frames: uint64(n) * 30, Lost: -3,
		Records: []string{"a.webm"}}
}

func testStats(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	begin(t, s, granted("a", source(t, s, customer(t, s, "anna"), noon)), noon)
	ok(t, s.SaveStats(ctx, nil))
	batch := []store.StreamStats{{Stream: "unknown", Stats: busy(1), At: at(time.Second)},
		{Stream: "a", Stats: busy(2), At: at(2 * time.Second)}}
	ok(t, s.SaveStats(ctx, batch))
	got := get[store.Stream](t)(s.StreamByID(ctx, "a"))
	same(t, "stats", got.Stats, busy(2))
	same(t, "their time", got.StatsAt, at(2*time.Second))
	ok(t, s.SaveStats(ctx, []store.StreamStats{{Stream: "a", Stats: busy(3), At: at(-time.Hour)}}))
	same(t, "stats after the clock was set back", get[store.Stream](t)(s.StreamByID(ctx, "a")).Stats, busy(3))
	ok(t, s.EndStream(ctx, "a", "over", at(3*time.Second)))
	ok(t, s.SaveStats(ctx, []store.StreamStats{{Stream: "a", Stats: busy(4), At: at(4 * time.Second)}}))
	same(t, "the last ones of a stream that ended", get[store.Stream](t)(s.StreamByID(ctx, "a")).Stats, busy(4))

	// What JSON cannot hold costs the others nothing, and of one stream the last counts.
	odd := busy(9)
	odd.FPS = math.NaN()
	late := at(time.Hour)
	batch = []store.StreamStats{{Stream: "odd", Stats: odd, At: late}, {Stream: "a", Stats: busy(5), At: late},
		{Stream: "a", Stats: busy(6), At: late}}
	for i := range 250 {
		batch = append(batch, store.StreamStats{Stream: streamID(1000 + i), Stats: busy(7), At: late})
	}
	want(t, "statistics with NaN", s.SaveStats(ctx, batch), store.ErrStats)
	same(t, "beside them", get[store.Stream](t)(s.StreamByID(ctx, "a")).Stats, busy(6))
	w, stop := running(t, s, time.Hour)
	w.Put(store.StreamStats{Stream: "odd", Stats: odd, At: late})
	w.Put(store.StreamStats{Stream: "a", Stats: busy(8), At: late.Add(time.Second)})
	stop()
	same(t, "by a writer", get[store.Stream](t)(s.StreamByID(ctx, "a")).Stats, busy(8))
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// running runs a StatsWriter; stop ends it and waits.
func running(t testing.TB, s *store.Store, interval time.Duration) (w *store.StatsWriter, stop func()) {
	w = store.NewStatsWriter(s, interval, quiet())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	return w, func() { cancel(); <-done }
}

func testStatsWriter(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	anna := customer(t, s, "anna")
	for i := range 10 {
		begin(t, s, granted(streamID(i), source(t, s, anna, noon)), noon)
	}
	w, stop := running(t, s, time.Hour) // all that is written, its end writes
	for n := range 50 {
		for i := range 10 {
			w.Put(store.StreamStats{Stream: streamID(i), Stats: busy(n), At: at(time.Duration(n) * time.Second)})
		}
	}
	w.Put(store.StreamStats{Stream: streamID(0), Stats: busy(1), At: at(time.Second)}) // came late
	stop()
	for _, one := range get[[]store.Stream](t)(s.ActiveStreams(ctx, store.StreamFilter{})) {
		same(t, "the newest of "+one.ID, one.Stats, busy(49))
	}

	w, stop = running(t, s, time.Millisecond)
	defer stop()
	w.Put(store.StreamStats{Stream: streamID(1), Stats: busy(60), At: at(time.Minute)})
	wait(t, "statistics in time", func() bool {
		return get[store.Stream](t)(s.StreamByID(ctx, streamID(1))).StatsAt.Equal(at(time.Minute))
	})
}

// testStatsWriterOutage lets what cannot be written wait, and be replaced by what is newer.
func testStatsWriterOutage(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	begin(t, s, granted("a", source(t, s, customer(t, s, "anna"), noon)), noon)
	lost := open(t)
	ok(t, lost.Close())
	w, stop := running(t, lost, time.Millisecond)
	for n := range 1000 {
		w.Put(store.StreamStats{Stream: "a", Stats: busy(n), At: at(time.Duration(n) * time.Second)})
	}
	stop()
	if err := lost.SaveStats(ctx, []store.StreamStats{{Stream: "a"}}); err == nil {
		t.Error("a closed database took statistics")
	}
	if got := get[store.Stream](t)(s.StreamByID(ctx, "a")); !got.StatsAt.IsZero() {
		t.Errorf("statistics of %v", got.StatsAt)
	}
}

// wait waits until something is so.
func wait(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

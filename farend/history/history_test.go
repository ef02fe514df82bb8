package history

import (
	"encoding/csv"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/krazycam/krazycam/farend/stream"
)

var start = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// A fakeReceiver has streams by id; the count of packets is that of the samples.
type fakeReceiver struct {
	ids     []string
	packets uint64
}

func (f *fakeReceiver) AllStats(to []stream.Named) []stream.Named {
	f.packets++
	for _, id := range f.ids {
		to = append(to, stream.Named{ID: id, Stats: stream.Stats{State: stream.StateStreaming, Packets: f.packets}})
	}
	return to
}

func sampleSeconds(h *History, from time.Time, n int) time.Time {
	for range n {
		h.Sample(from)
		from = from.Add(Interval)
	}
	return from
}

func TestLastTenMinutesAreKeptInOrder(t *testing.T) {
	f := &fakeReceiver{ids: []string{"a"}}
	h := New(f)
	for _, seconds := range []int{1, 29, 570, 1, 599, 300} { // 1, 30, 600, 601, 1200, 1500 in all
		sampleSeconds(h, start.Add(time.Duration(f.packets)*Interval), seconds)
		rows := h.Rows("a", nil)
		if want := int(min(f.packets, RowsMax)); len(rows) != want {
			t.Fatalf("after %d samples %d rows, want %d", f.packets, len(rows), want)
		}
		for i, r := range rows {
			want := f.packets - uint64(len(rows)-1-i)
			if r.Packets != want || !r.At().Equal(start.Add(time.Duration(want-1)*Interval)) {
				t.Fatalf("after %d samples row %d has %d packets at %v, want %d", f.packets, i, r.Packets, r.At(), want)
			}
		}
	}
}

func TestEndedStreamsAreKeptForTenMinutesMore(t *testing.T) {
	f := &fakeReceiver{ids: []string{"a", "b"}}
	h := New(f)
	at := sampleSeconds(h, start, 5)
	f.ids = []string{"b"}
	at = sampleSeconds(h, at, RowsMax-1)
	if got := len(h.Rows("a", nil)); got != 5 {
		t.Errorf("%v after its end a stream has %d rows, want 5", (RowsMax-1)*Interval, got)
	}
	sampleSeconds(h, at, 1)
	if got := len(h.runs); got != 1 || len(h.Rows("b", nil)) == 0 {
		t.Errorf("ten minutes after the end of a: %d streams, want b alone", got)
	}
}

func TestStreamsWithoutEndHaveABound(t *testing.T) {
	f := &fakeReceiver{}
	h := New(f)
	at := start
	for i := range streamsMax + 100 { // each stream ends at once
		f.ids = []string{fmt.Sprint(i)}
		at = at.Add(time.Millisecond)
		h.Sample(at)
	}
	if len(h.runs) != streamsMax || h.runs["99"] != nil || h.runs["100"] == nil {
		t.Errorf("%d streams are kept, want %d: the newest", len(h.runs), streamsMax)
	}
	f.ids = nil
	for i := range streamsMax + 1 {
		f.ids = append(f.ids, fmt.Sprint("running ", i))
	}
	h.Sample(at)
	if got := len(h.runs); got != streamsMax {
		t.Errorf("%d streams are kept of %d that run, want %d", got, len(f.ids), streamsMax)
	}
}

func TestMemoryOfAStreamIsSmall(t *testing.T) {
	const streams = 100
	f := &fakeReceiver{}
	for i := range streams {
		f.ids = append(f.ids, fmt.Sprint(i))
	}
	h := New(f)
	before := heap()
	at := sampleSeconds(h, start, RowsMax)
	kept := float64(heap()-before) / streams
	t.Logf("FIGURE history: %.1f kB for ten minutes of a stream, %d bytes a row", kept/1000, unsafe.Sizeof(Row{}))
	if kept > 60_000 {
		t.Errorf("a stream takes %.0f bytes, want at most 60,000", kept)
	}
	if n := testing.AllocsPerRun(100, func() { at = at.Add(Interval); h.Sample(at) }); n > 0 {
		t.Errorf("a sample of full rings allocates %v times, want never", n)
	}
	runtime.KeepAlive(h)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestLinesHaveTheColumnsOfTheHeader(t *testing.T) {
	rtt, delay := 12500*time.Microsecond, -3*time.Millisecond
	rows := []Row{
		MakeRow(&stream.Stats{State: stream.StateNoKeyFrame}, start),
		MakeRow(&stream.Stats{
			State: stream.StateStreaming, FPS: 29.97, Bitrate: 312_345, Loss: 0.0123, Jitter: 1500 * time.Microsecond,
			RTT: &rtt, Delay: &delay, Quantizer: 300, Width: 640, Height: 1 << 20, Packets: 10, Bytes: 11, Lost: -2,
			Resent: math.MaxUint64, Frames: 12, KeyFrames: 13, LostFrames: 14, Freezes: 15,
		}, start.Add(1500*time.Millisecond)),
		MakeRow(&stream.Stats{State: "of a later version", Lost: math.MaxInt64}, start),
	}
	text := CSVHeader + "\n"
	for i := range rows {
		text += string(rows[i].AppendCSV(nil, rows[i].State())) + "\n"
	}
	got, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"2026-11-28T12:00:00.000Z no key frame 0.0 0.0 0.00 0.00   0 0 0 0 0 0 0 0 0 0 0",
		"2026-11-28T12:00:01.500Z streaming 30.0 312.3 1.23 1.50 12.50 -3.0 255 640 65535 10 11 -2 4294967295 " +
			"12 13 14 15",
		"2026-11-28T12:00:00.000Z  0.0 0.0 0.00 0.00   0 0 0 0 0 2147483647 0 0 0 0 0",
	} {
		if line := strings.Join(got[i+1], " "); line != want {
			t.Errorf("line %d reads\n%q, want\n%q", i, line, want)
		}
	}
}

package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

var start = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// A fakeReceiver has streams that run, and the last counts of those that ended.
type fakeReceiver struct {
	running []stream.Named
	ended   map[string]stream.Stats
}

func (f *fakeReceiver) AllStats(to []stream.Named) []stream.Named { return append(to, f.running...) }

func (f *fakeReceiver) Stats(id string) (stream.Stats, bool) {
	s, ok := f.ended[id]
	return s, ok
}

func streamOf(id string, customer int64, s stream.Stats) stream.Named {
	s.State = stream.StateStreaming
	return stream.Named{ID: id, Customer: customer, Source: wire.TextID("source-" + id), Stats: s}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("a scrape answers %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// value is that of a series as it is written.
func value(t *testing.T, text, series string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), series+" "); ok {
			return v
		}
	}
	return "none"
}

// everything is a Metrics with all that there may be.
func everything(t *testing.T, live Live) *Metrics {
	t.Helper()
	m := New(Config{
		Version: "v1.2.3", Live: live, Capacity: 100,
		Totals: func() Totals { return Totals{Streams: 7, Unasked: 1, Malformed: 2, KernelDrops: 3} },
		Servers: func(context.Context) ([]Server, error) {
			return []Server{{Name: "a", Streams: 5, Capacity: 10, SeenAt: start},
				{Name: "b", Capacity: 20, SeenAt: start},
				{Name: "a", SeenAt: start.Add(-time.Hour)}}, nil
		},
		Forwardings: func() map[[2]string]int {
			return map[[2]string]int{{"rtp", "running"}: 2, {"whip", "failed"}: 1}
		},
		Failures: func() map[string]uint64 { return map[string]uint64{"heartbeat": 4} },
		Folders:  map[string]string{"state": t.TempDir()},
	})
	m.GatewayRequest("start_stream", 0, 3*time.Millisecond)
	m.GatewayRequest("start_stream", 4091, time.Millisecond)
	m.APIRequest("GET", 200)
	m.APIRequest("GET", 503)
	return m
}

func busyReceiver() *fakeReceiver {
	rtt, delay := 20*time.Millisecond, 80*time.Millisecond
	return &fakeReceiver{running: []stream.Named{
		streamOf("1", 1, stream.Stats{FPS: 30, Bitrate: 300_000, RTT: &rtt, Delay: &delay, Packets: 100, Lost: 5}),
		streamOf("2", 2, stream.Stats{}),
	}}
}

func TestPromtoolFindsNothingWrong(t *testing.T) {
	need.Tools(t, "promtool")
	cmd := exec.Command("promtool", "check", "metrics", "--extended")
	cmd.Stdin = strings.NewReader(scrape(t, everything(t, busyReceiver())))
	out, err := cmd.CombinedOutput()
	text := string(out)
	complaints, _, _ := strings.Cut(text, "Metric  ") // before the table of series
	if err != nil || strings.TrimSpace(complaints) != "" {
		t.Errorf("promtool check metrics: %v\n%s", err, text)
	}
	t.Logf("FIGURE metrics:\n%s", text)
}

func TestFiguresAreThose(t *testing.T) {
	text := scrape(t, everything(t, busyReceiver()))
	for series, want := range map[string]string{
		`krazycam_build_info{goversion="` + runtime.Version() + `",version="v1.2.3"}`: "1",
		`krazycam_gateway_requests_total{action="start_stream",code="4091"}`:          "1",
		`krazycam_gateway_request_duration_seconds_count{action="start_stream"}`:      "2",
		`krazycam_api_requests_total{method="GET",status="200"}`:                      "1",
		`krazycam_database_errors_total{operation="heartbeat"}`:                       "4",
		`krazycam_database_up`:                                               "1",
		`krazycam_streams{state="streaming"}`:                                "2",
		`krazycam_streams{state="no_key_frame"}`:                             "0",
		`krazycam_streams_capacity`:                                          "100",
		`krazycam_stream_packets_total{customer="1"}`:                        "100",
		`krazycam_stream_lost_packets_total{customer="1"}`:                   "5",
		`krazycam_stream_frames_per_second{customer="1",source="source-1"}`:  "30",
		`krazycam_stream_bytes_per_second{customer="1",source="source-1"}`:   "37500",
		`krazycam_stream_round_trip_seconds{customer="1",source="source-1"}`: "0.02",
		`krazycam_stream_delay_seconds{customer="1",source="source-1"}`:      "0.08",
		`krazycam_stream_delay_seconds{customer="2",source="source-2"}`:      "none",
		`krazycam_stream_up{customer="2",source="source-2"}`:                 "1",
		`krazycam_receiver_dropped_datagrams_total`:                          "3",
		`krazycam_server_streams{server="a"}`:                                "5",
		`krazycam_server_heartbeat_timestamp_seconds{server="b"}`:            "1.7958672e+09",
		`krazycam_forwardings{kind="rtp",state="running"}`:                   "2",
	} {
		if got := value(t, text, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	if got := value(t, text, `krazycam_folder_free_bytes{folder="state"}`); got == "none" || got == "0" {
		t.Errorf("free bytes of the state folder: %s", got)
	}
}

func TestSumsOfACustomerOutliveItsStreams(t *testing.T) {
	f := &fakeReceiver{ended: map[string]stream.Stats{}}
	m := New(Config{Live: f})
	sum := func() string { return value(t, scrape(t, m), `krazycam_stream_packets_total{customer="1"}`) }
	f.running = []stream.Named{streamOf("1", 1, stream.Stats{Packets: 10}), streamOf("2", 1, stream.Stats{Packets: 1})}
	if got := sum(); got != "11" {
		t.Errorf("two streams: %s packets, want 11", got)
	}
	f.running = []stream.Named{streamOf("2", 1, stream.Stats{Packets: 5})}
	f.ended["1"] = stream.Stats{Packets: 12}
	for range 2 {
		if got := sum(); got != "17" {
			t.Errorf("one ended after 12 packets, the other has 5: %s packets, want 17", got)
		}
	}
	f.running = []stream.Named{streamOf("3", 1, stream.Stats{Packets: 2, Lost: -1})}
	f.ended = nil // the receiver remembers nothing of 2: its last packets are not known
	if got := sum(); got != "19" {
		t.Errorf("a third stream with 2 packets: %s, want 19", got)
	}
	f.running[0].Stats.Lost = 3
	scrape(t, m)
	f.running[0].Stats.Lost = 1 // two came late
	if got := value(t, scrape(t, m), `krazycam_stream_lost_packets_total{customer="1"}`); got != "3" {
		t.Errorf("%s lost packets, want 3: a counter does not shrink", got)
	}
}

func TestSeriesAreBoundedWhateverIsAskedFor(t *testing.T) {
	f := &fakeReceiver{}
	for i := range customersMax + 500 {
		f.running = append(f.running, streamOf(fmt.Sprint(i), int64(i), stream.Stats{Packets: 1}))
	}
	m := New(Config{Live: f, StreamsMax: 10})
	for i := range 10_000 {
		m.GatewayRequest(fmt.Sprint("action ", i), i, time.Millisecond)
		m.APIRequest(fmt.Sprint("METHOD", i), 200)
	}
	text := scrape(t, m)
	if got := value(t, text, `krazycam_stream_packets_total{customer="other"}`); got != "500" {
		t.Errorf("customers without a place have %s packets, want 500", got)
	}
	if n := strings.Count(text, "krazycam_stream_up{"); n != 10 {
		t.Errorf("of %d streams %d have series of their own, want 10", len(f.running), n)
	}
	lines := strings.Count(text, "\nkrazycam_")
	t.Logf("FIGURE metrics: %d series of ours with %d customers", lines, len(f.running))
	if most := (customersMax+1)*sums + 2100; lines > most {
		t.Errorf("%d series, want at most %d", lines, most)
	}
	f.running = f.running[:10]
	if text := scrape(t, m); strings.Count(text, "krazycam_stream_up{") != 10 {
		t.Error("with 10 streams not each has its own series")
	}
}

// Alerts name a camera, however many there are.
func TestStreamsThatFareWorstHaveSeries(t *testing.T) {
	f := &fakeReceiver{}
	for i := range 1500 {
		f.running = append(f.running, streamOf(fmt.Sprint(i), 1, stream.Stats{Begun: start.Add(time.Duration(i))}))
	}
	f.running[1400].Stats.State = stream.StateSilent
	f.running[1401].Stats.Loss = 0.1
	text := scrape(t, New(Config{Live: f, Capacity: 2000}))
	for series, want := range map[string]string{
		`krazycam_stream_up{customer="1",source="source-1400"}`:         "0",
		`krazycam_stream_loss_ratio{customer="1",source="source-1401"}`: "0.1",
		`krazycam_stream_up{customer="1",source="source-0"}`:            "1",
		`krazycam_stream_up{customer="1",source="source-998"}`:          "none",
	} {
		if got := value(t, text, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
	if n := strings.Count(text, "krazycam_stream_up{"); n != streamsMaxHigh {
		t.Errorf("%d streams have series, want %d", n, streamsMaxHigh)
	}
}

func TestStrangeSourcesAndTwoStreamsOfOneAreStillAScrape(t *testing.T) {
	old := streamOf("1", 1, stream.Stats{Begun: start})
	now := streamOf("1", 1, stream.Stats{Begun: start.Add(1), FPS: 7})
	now.ID = "2"
	odd := streamOf("3", 1, stream.Stats{})
	odd.Source = wire.TextID(strings.Repeat("ä\n\"\\", 40))
	text := scrape(t, New(Config{Live: &fakeReceiver{running: []stream.Named{old, now, odd}}}))
	if got := value(t, text, `krazycam_stream_frames_per_second{customer="1",source="source-1"}`); got != "7" {
		t.Errorf("a source with two streams shows %s fps, want those of the newer", got)
	}
}

func TestDatabaseThatIsGoneShows(t *testing.T) {
	gone := func(context.Context) ([]Server, error) { return nil, errors.New("gone") }
	m := New(Config{Servers: gone, Folders: map[string]string{"x": "/none"}})
	text := scrape(t, m)
	if got := value(t, text, "krazycam_database_up"); got != "0" {
		t.Errorf("krazycam_database_up is %s, want 0", got)
	}
}

func TestGatewayIsCountedByActionAndCode(t *testing.T) {
	m := New(Config{})
	h := m.Gateway(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		switch {
		case err != nil:
			t.Error(err)
		case strings.Contains(string(text), "stop_stream"):
			w.WriteHeader(409)
			fmt.Fprint(w, `{"error_code":4092,"error_txt":"stream not running"}`)
		case !strings.Contains(string(text), "start_stream"):
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error_code":4001}`)
		default:
			fmt.Fprint(w, `{"url":"x"}`)
		}
	}))
	for _, body := range []string{`{"action":"start_stream"}`, `{"action":"stop_stream"}`, `nonsense`,
		strings.Repeat("x", 2*requestMax)} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
		if !strings.HasPrefix(w.Body.String(), "{") {
			t.Errorf("%.20s: the answer is %q", body, w.Body)
		}
	}
	text := scrape(t, m)
	for labels, want := range map[string]string{`action="start_stream",code="0"`: "1",
		`action="stop_stream",code="4092"`: "1", `action="other",code="4001"`: "2"} {
		if got := value(t, text, "krazycam_gateway_requests_total{"+labels+"}"); got != want {
			t.Errorf("requests with %s: %s, want %s", labels, got, want)
		}
	}
}

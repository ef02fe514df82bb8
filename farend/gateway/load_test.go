// A thousand sources at once, over real HTTP, on a real database, with the video servers of a cluster.

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/videoserver"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	loadSources = 1000
	loadHold    = 10 * time.Second
	loadRounds  = 2  // sessions of each source
	longRounds  = 50 // with KRAZYCAM_LONG

	// loadAtOnce is how many requests are on their way at a time.
	loadAtOnce = 32

	// heapGrowth is what may be left of a run: pools of connections, the database's caches.
	heapGrowth = 8 << 20
)

// crowd is many sources and the far end that they ask.
type crowd struct {
	t       *testing.T
	url     string
	client  *http.Client
	store   *store.Store
	server  *fakeServer
	places  chan struct{} // of requests on their way
	mu      sync.Mutex
	took    []time.Duration
	refused map[string]int
	ids     []wire.ID
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{t: t, store: openStore(t), server: newFakeServer(), places: make(chan struct{}, loadAtOnce),
		refused: map[string]int{}, ids: make([]wire.ID, loadSources)}
	_, err := c.store.AddCustomer(t.Context(), store.Customer{Name: "k", KeyHash: store.HashKey("k"), Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	local := videoserver.NewLocal(c.server, time.Now, slog.Default())
	cluster := videoserver.NewCluster(videoserver.ClusterConfig{
		Store: c.store, Name: "own", Local: local, Load: func() (int, int) { return c.server.count(), 2 * loadSources },
	})
	g := New(Config{Store: c.store, Servers: cluster, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	web := httptest.NewServer(g)
	c.url = web.URL
	c.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loadAtOnce}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	running.Go(func() { local.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		web.Close()
		c.client.CloseIdleConnections()
		cluster.Close()
	})
	return c
}

// ask is a request of source i; one that is refused is counted.
func (c *crowd) ask(i int, body string) (answer wire.Answer) {
	c.places <- struct{}{}
	defer func() { <-c.places }()
	began := time.Now()
	why := c.exchange(i, body, &answer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, time.Since(began))
	if why != "" {
		c.refused[why]++
	}
	return answer
}

func (c *crowd) exchange(i int, body string, answer *wire.Answer) (why string) {
	r, err := http.NewRequest(http.MethodPost, c.url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", i/200, i%200))
	got, err := c.client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = got.Body.Close() }()
	said, err := io.ReadAll(got.Body)
	if err == nil {
		err = json.Unmarshal(said, answer)
	}
	if err != nil || got.StatusCode != http.StatusOK {
		return fmt.Sprintf("%.40s = %d %.200s %v", body, got.StatusCode, said, err)
	}
	return ""
}

// all does something for each source at once.
func (c *crowd) all(what func(i int)) {
	var all sync.WaitGroup
	for i := range loadSources {
		all.Go(func() { what(i) })
	}
	all.Wait()
}

func (c *crowd) start(i int) {
	id, _ := json.Marshal(c.ids[i]) // never fails
	a := c.ask(i, fmt.Sprintf(`{"action":"start_stream","key":"k","utilization_id":%s,"width":640,"height":480,
		"ssrc":%d,"board":{"serial":"s%d","version":"v1"}}`, id, i+1, i))
	if a.RTPPort.N == 0 {
		c.t.Errorf("source %d got no port", i)
	}
}

func (c *crowd) about(i int, action string) wire.Answer {
	id, _ := json.Marshal(c.ids[i])
	return c.ask(i, fmt.Sprintf(`{"action":%q,"utilization_id":%s}`, action, id))
}

// check compares what the store and the video server have with what was granted.
func (c *crowd) check(want int) {
	c.t.Helper()
	rows, err := c.store.ActiveStreams(c.t.Context(), store.StreamFilter{})
	if err != nil {
		c.t.Fatal(err)
	}
	of := map[wire.ID]bool{}
	for _, row := range rows {
		of[row.Source] = hasPlace(row)
	}
	if len(rows) != want || len(of) != want || c.server.count() != want {
		c.t.Errorf("%d streams of %d sources, %d places, want %d", len(rows), len(of), c.server.count(), want)
	}
	for i, id := range c.ids {
		if want > 0 && !of[id] {
			c.t.Fatalf("source %d has no stream", i)
		}
	}
}

// report prints requests a second and latency since the last report.
func (c *crowd) report(what string, elapsed time.Duration) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.took)
	n := len(c.took)
	half, most := c.took[n/2], c.took[n*99/100]
	c.t.Logf("FIGURE %s: %d requests, %.0f/s, p50 %v, p99 %v, of at most %d at once", what, n,
		float64(n)/elapsed.Seconds(), half.Round(10*time.Microsecond), most.Round(10*time.Microsecond), loadAtOnce)
	c.took = c.took[:0]
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestThousandSourcesAtOnceLoseNothingAndLeaveMemoryFlat(t *testing.T) {
	rounds := loadRounds
	if os.Getenv("KRAZYCAM_LONG") != "" {
		rounds = longRounds
	}
	c := newCrowd(t)
	began := time.Now()
	c.all(func(i int) { c.ids[i] = c.ask(i, `{"action":"new_utilization_id","key":"k"}`).Utilization })
	c.all(c.start)
	c.report("1,000 sources register and begin", time.Since(began))
	c.check(loadSources)
	held := time.Now()
	for time.Since(held) < loadHold {
		began = time.Now()
		c.all(func(i int) {
			if a := c.about(i, "validate_stream"); !a.Validation.Said || a.Validation.N != 0 {
				t.Errorf("source %d: validation %+v", i, a.Validation)
			}
		})
		time.Sleep(time.Until(began.Add(loadHold / 4))) // a period of theirs
	}
	c.check(loadSources)
	c.all(func(i int) { c.about(i, "stop_stream") })
	c.check(0)
	before := heap()
	c.took = c.took[:0]
	began = time.Now()
	for range rounds - 1 {
		c.all(func(i int) {
			c.start(i)
			c.about(i, "validate_stream")
			c.about(i, "stop_stream")
		})
		c.check(0)
	}
	c.report(fmt.Sprintf("%d sessions", loadSources*(rounds-1)), time.Since(began))
	after := heap()
	t.Logf("FIGURE heap after %d sessions %.1f MB, after %d %.1f MB", loadSources, float64(before)/1e6,
		loadSources*rounds, float64(after)/1e6)
	if after > before+heapGrowth {
		t.Errorf("%d bytes more in use, want at most %d", after-before, heapGrowth)
	}
	for why, n := range c.refused {
		t.Errorf("%d times: %s", n, why)
	}
	sources, err := c.store.Sources(t.Context(), store.SourceFilter{})
	if err != nil || len(sources) != loadSources || c.server.begins != loadSources*rounds ||
		c.server.ended != loadSources*rounds {
		t.Errorf("%d sources, %v; %d begun, %d ended, want %d", len(sources), err, c.server.begins, c.server.ended,
			loadSources*rounds)
	}
	for _, s := range sources {
		if s.Board.Version != "v1" || s.BoardAt.IsZero() {
			t.Fatalf("source %v has lost what its board said: %+v", s.ID, s.Board)
		}
	}
}

// zeros are endless.
type zeros struct{ read int64 }

func (z *zeros) Read(b []byte) (int, error) {
	clear(b)
	z.read += int64(len(b))
	return len(b), nil
}

func TestGigabyteOfBodyIsNotReadAndLeavesMemoryFlat(t *testing.T) {
	d := newDesk(t, Config{Now: time.Now})
	web := httptest.NewServer(d)
	defer web.Close()
	before := heap()
	z := &zeros{}
	r, err := http.NewRequest(http.MethodPost, web.URL, io.LimitReader(z, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err == nil {
		_ = got.Body.Close()
		if got.StatusCode != 400 {
			t.Errorf("status %d", got.StatusCode)
		}
	}
	if z.read > 64<<20 { // what the sockets' buffers took
		t.Errorf("%d bytes were taken", z.read)
	}
	if after := heap(); after > before+heapGrowth {
		t.Errorf("%d bytes more in use", after-before)
	}
	t.Logf("FIGURE of a body of 1 GB %d kB left the sender; %v", z.read>>10, err)
}

// holdConnections opens n connections from some hosts of this machine, which say what a slow one says, and
// gives how many of them the server has closed at once.
func holdConnections(t *testing.T, to string, n int, hosts byte) (closed int) {
	t.Helper()
	says := [][]byte{nil, []byte("POST / HTTP/1.1\r\n"),
		[]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")}
	var mu sync.Mutex
	var all sync.WaitGroup
	places := make(chan struct{}, 400) // descriptors
	for i := range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, 1+byte(i)%hosts)}, Timeout: time.Minute}
			c, err := from.Dial("tcp", to)
			if err != nil {
				t.Errorf("connection %d: %v", i, err)
				return
			}
			defer func() { _ = c.Close() }()
			_, _ = c.Write(says[i%len(says)]) // it may be closed by now
			began := time.Now()
			_ = c.SetReadDeadline(began.Add(time.Minute))
			said, _ := io.ReadAll(c)
			if len(said) == 0 && time.Since(began) < time.Second/2 {
				mu.Lock()
				defer mu.Unlock()
				closed++
			}
		})
	}
	all.Wait()
	return closed
}

func TestTenThousandConnectionsKeepNoSourceOutAndLeaveMemoryFlat(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	d := newDesk(t, Config{Now: time.Now})
	web := boundedServer(t, d)
	body := []byte(`{"action":"new_utilization_id","key":"k"}`)
	done := make(chan struct{})
	var asked, slowest int
	var owner sync.WaitGroup
	owner.Go(func() {
		for ; ; asked++ {
			began := time.Now()
			got, err := http.Post(web, "application/json", bytes.NewReader(body))
			if err != nil || got.StatusCode != 200 {
				t.Errorf("the owner: %v, %v", got, err)
				return
			}
			_ = got.Body.Close()
			slowest = max(slowest, int(time.Since(began)/time.Millisecond))
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond): // a source is no flood either
			}
		}
	})
	before := heap()
	closed := holdConnections(t, strings.TrimPrefix(web, "http://"), 10_000, 4)
	close(done)
	owner.Wait()
	after := heap()
	t.Logf("FIGURE of 10,000 connections of 4 hosts %d were closed at once; meanwhile a source asked %d times, "+
		"the slowest answer took %d ms; heap %+.1f MB", closed, asked, slowest, (float64(after)-float64(before))/1e6)
	if closed < 5000 || after > before+heapGrowth {
		t.Errorf("%d closed at once, %d bytes more in use", closed, int64(after)-int64(before))
	}
}

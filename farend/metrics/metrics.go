// Package metrics counts what a server at the far end does, in the form that Prometheus reads: streams,
// packets, requests to the gateway, the database, disks, the other servers, forwardings.
//
// Names follow Prometheus' conventions: krazycam_ before, base units behind, _total on what only grows.
// Series are bounded, whoever asks for what: actions and codes are those of the protocol, customers and
// sources are named up to a number: beyond it customers are summed up as "other", and the sources that fare
// worst are named.
//
// A Metrics owns no goroutine and opens nothing: each scrape asks its sources. A counter of a customer keeps
// what its ended streams counted, as long as they ended while a scrape came now and then.
//
// Source: https://prometheus.io/docs/practices/naming/.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/krazycam/krazycam/farend/stream"
)

// A Live has the streams of this process; a receiver is one.
type Live interface {
	AllStats(to []stream.Named) []stream.Named
	Stats(id string) (stream.Stats, bool) // of one that ended a moment ago, too
}

// Totals are what a receiver counts of all streams together since it began.
type Totals struct {
	Streams     uint64 // begun
	Unasked     uint64 // datagrams of no stream
	Malformed   uint64 // datagrams that are neither RTP nor RTCP
	KernelDrops uint64 // datagrams that the kernel had no room for; Linux alone counts them
}

// A Server is one of those that share the database.
type Server struct {
	Name              string
	Streams, Capacity int
	SeenAt            time.Time
}

// Config says where the figures are. What is nil is not there.
type Config struct {
	Version     string
	Live        Live
	Totals      func() Totals
	Capacity    int // streams at once in this process
	Servers     func(context.Context) ([]Server, error)
	Failures    func() map[string]uint64 // of the database, by operation
	Forwardings func() map[[2]string]int // how many by kind and state; both of few words
	Folders     map[string]string        // paths by what they are for, such as "state" and "recordings"

	// StreamsMax is how many running streams have series of their own. Where more run, those that somebody
	// must look after come first. 0: Capacity, from 200 to 1,000.
	StreamsMax int

	Now func() time.Time
	Log *slog.Logger
}

const (
	streamsMaxLow  = 200
	streamsMaxHigh = 1000 // 8 series each
	customersMax   = 1000 // with series of their own
	serversMax     = 100
	// askMax is how long the database may take: less than the 10 s that Prometheus waits for a scrape.
	askMax = 3 * time.Second
)

// A Metrics is safe for use by several goroutines.
type Metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	asked    *prometheus.CounterVec
}

// New makes a Metrics.
func New(c Config) *Metrics {
	if c.StreamsMax == 0 {
		c.StreamsMax = min(max(c.Capacity, streamsMaxLow), streamsMaxHigh)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("gateway_requests_total", "Requests to the gateway by action and by error code, 0 for none.",
			"action", "code"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "krazycam_gateway_request_duration_seconds", Help: "How long the gateway took to answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"action"}),
		asked: counter("api_requests_total", "Requests to the JSON API by method and status.", "method", "status"),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "krazycam_build_info", Help: "1; the labels say which version runs.",
		ConstLabels: prometheus.Labels{"version": c.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.took, m.asked, build, newStreams(c), &server{c},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "krazycam_" + name, Help: help}, labels)
}

// Handler answers scrapes, two at a time.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 2, Timeout: 3 * askMax, ErrorHandling: promhttp.ContinueOnError,
	})
}

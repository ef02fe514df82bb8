// The figures of a server and of what it depends on.

package metrics

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/krazycam/krazycam/farend/diskspace"
)

// server collects all but streams. Each scrape asks anew.
type server struct {
	config Config
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("krazycam_"+name, help, labels, nil)
}

// Describe is prometheus.Collector's: without descriptions the registry takes what Collect gives, since
// what is there depends on the configuration.
func (s *server) Describe(chan<- *prometheus.Desc) {}

// Collect is prometheus.Collector's.
func (s *server) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(desc("streams_capacity", "Streams that this server takes at once."), float64(s.config.Capacity))
	s.collectTotals(to)
	s.collectServers(gauge)
	if s.config.Failures != nil { // after what this scrape asked of the database
		d := desc("database_errors_total", "Operations that the database did not do.", "operation")
		for operation, n := range s.config.Failures() {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), operation)
		}
	}
	if s.config.Forwardings != nil {
		d := desc("forwardings", "Streams that are handed on, by kind and state.", "kind", "state")
		for of, n := range s.config.Forwardings() {
			gauge(d, float64(n), of[0], of[1])
		}
	}
	free := desc("folder_free_bytes", "What may still be written to the file system of a folder.", "folder")
	size := desc("folder_size_bytes", "Size of the file system of a folder.", "folder")
	for name, path := range s.config.Folders {
		space, err := diskspace.Of(path)
		if err != nil {
			s.config.Log.Warn("metrics: disk", "folder", name, "error", err)
			continue
		}
		gauge(free, float64(space.Free), name)
		gauge(size, float64(space.Size), name)
	}
}

func (s *server) collectTotals(to chan<- prometheus.Metric) {
	if s.config.Totals == nil {
		return
	}
	t := s.config.Totals()
	for _, one := range []struct {
		name, help string
		n          uint64
	}{
		{"streams_begun_total", "Streams that began at this server.", t.Streams},
		{"unasked_datagrams_total", "Datagrams of RTP and RTCP that belong to no stream.", t.Unasked},
		{"malformed_datagrams_total", "Datagrams that are neither RTP nor RTCP.", t.Malformed},
		{"dropped_datagrams_total", "Datagrams that the kernel dropped, since a socket's buffer was full.",
			t.KernelDrops},
	} {
		d := desc("receiver_"+one.name, one.help)
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(one.n))
	}
}

func (s *server) collectServers(gauge func(*prometheus.Desc, float64, ...string)) {
	if s.config.Servers == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askMax)
	defer cancel()
	servers, err := s.config.Servers(ctx)
	up := 1.0
	if err != nil {
		up = 0
	}
	gauge(desc("database_up", "1 if the database answers, else 0."), up)
	slices.SortFunc(servers, func(a, b Server) int { return b.SeenAt.Compare(a.SeenAt) })
	servers = slices.CompactFunc(servers[:min(len(servers), serversMax)],
		func(a, b Server) bool { return strings.EqualFold(a.Name, b.Name) })
	seen := desc("server_heartbeat_timestamp_seconds", "When a server was alive last, since 1970.", "server")
	running := desc("server_streams", "Streams of a server, by its last heartbeat.", "server")
	capacity := desc("server_capacity", "Streams that a server takes at once.", "server")
	for _, one := range servers {
		gauge(seen, float64(one.SeenAt.UnixMilli())/1000, one.Name)
		gauge(running, float64(one.Streams), one.Name)
		gauge(capacity, float64(one.Capacity), one.Name)
	}
}

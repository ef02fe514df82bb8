// The figures of streams: of the moment for each, sums for each customer.

package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/krazycam/krazycam/farend/stream"
)

// sumsOf are what is summed up for a customer, in the order of sumDescs.
const sums = 9

// counts are those of one stream or customer.
type counts [sums]uint64

func countsOf(s *stream.Stats) counts {
	return counts{s.Packets, s.Bytes, uint64(max(s.Lost, 0)), s.Resent, s.Frames, s.LostFrames, s.Freezes, s.PLIs,
		s.Foreign + s.Forged}
}

func sumDescs() [sums]*prometheus.Desc {
	one := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("krazycam_stream_"+name, help, []string{"customer"}, nil)
	}
	return [sums]*prometheus.Desc{
		one("packets_total", "RTP packets of sources that came, each once."),
		one("bytes_total", "Bytes of those packets, with their RTP headers."),
		one("lost_packets_total", "RTP packets of sources that never came."),
		one("resent_packets_total", "RTP packets that came by a resend (RFC 4588)."),
		one("frames_total", "Whole frames."),
		one("lost_frames_total", "Frames of which something never came."),
		one("freezes_total", "Times without a new picture for half a second, while the source sent."),
		one("key_frame_requests_total", "Key frames that were requested of sources (PLI)."),
		one("foreign_packets_total", "Packets of somebody else than the source, which were left out."),
	}
}

// A figure is one of the moment.
type figure struct {
	desc *prometheus.Desc
	of   func(*stream.Stats) (value float64, known bool)
}

func figures() []figure {
	one := func(name, help string, of func(*stream.Stats) (float64, bool)) figure {
		return figure{prometheus.NewDesc("krazycam_stream_"+name, help, []string{"customer", "source"}, nil), of}
	}
	return []figure{
		one("up", "1 while pictures come that can be shown, else 0.", func(s *stream.Stats) (float64, bool) {
			if s.State == stream.StateStreaming {
				return 1, true
			}
			return 0, true
		}),
		one("frames_per_second", "Whole frames of the last second.",
			func(s *stream.Stats) (float64, bool) { return s.FPS, true }),
		one("bytes_per_second", "Bytes of RTP of the last second.",
			func(s *stream.Stats) (float64, bool) { return s.Bitrate / 8, true }),
		one("loss_ratio", "Packets of the last second that did not come at first, 0 to 1.",
			func(s *stream.Stats) (float64, bool) { return s.Loss, true }),
		one("jitter_seconds", "Interarrival jitter (RFC 3550).",
			func(s *stream.Stats) (float64, bool) { return s.Jitter.Seconds(), true }),
		one("round_trip_seconds", "Round trip time to the source.", func(s *stream.Stats) (float64, bool) {
			if s.RTT == nil {
				return 0, false
			}
			return s.RTT.Seconds(), true
		}),
		one("delay_seconds", "From the capture of a picture to its whole frame, mean of the last second.",
			func(s *stream.Stats) (float64, bool) {
				if s.Delay == nil {
					return 0, false
				}
				return s.Delay.Seconds(), true
			}),
		one("quantizer", "y_ac_qi of the newest frame, 0 (finest) to 127.",
			func(s *stream.Stats) (float64, bool) { return float64(s.Quantizer), true }),
	}
}

// A streams collects what is known of all streams of this process.
type streams struct {
	config  Config
	states  *prometheus.Desc
	sums    [sums]*prometheus.Desc
	figures []figure

	mu        sync.Mutex // guards what follows; the receiver is asked under it, and does not call back
	customers map[int64]*counts
	seen      map[string]*seen // streams of the last scrape, by id
	named     []stream.Named   // for use again
}

// A seen is what was added of a stream so far.
type seen struct {
	customer int64
	added    counts
	now      bool
}

func newStreams(c Config) *streams {
	return &streams{
		config: c, sums: sumDescs(), figures: figures(),
		states:    prometheus.NewDesc("krazycam_streams", "Streams of this server by state.", []string{"state"}, nil),
		customers: map[int64]*counts{}, seen: map[string]*seen{},
	}
}

// Describe is prometheus.Collector's.
func (s *streams) Describe(to chan<- *prometheus.Desc) {
	to <- s.states
	for _, d := range s.sums {
		to <- d
	}
	for _, f := range s.figures {
		to <- f.desc
	}
}

// Collect is prometheus.Collector's.
func (s *streams) Collect(to chan<- prometheus.Metric) {
	if s.config.Live == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named = s.config.Live.AllStats(s.named[:0])
	s.addUp()
	s.collectStates(to)
	for customer, of := range s.customers {
		for i, n := range of {
			to <- prometheus.MustNewConstMetric(s.sums[i], prometheus.CounterValue, float64(n), customerLabel(customer))
		}
	}
	s.collectFigures(to)
	clear(s.named)
}

// addUp adds what came since the last scrape to the customers' sums.
func (s *streams) addUp() {
	for i := range s.named {
		one := &s.named[i]
		known := s.seen[one.ID]
		if known == nil {
			known = &seen{customer: s.ownerOf(one.Customer)}
			s.seen[one.ID] = known
		}
		known.now = true
		s.add(known, &one.Stats)
	}
	for id, known := range s.seen {
		if known.now {
			known.now = false
			continue
		}
		if last, ok := s.config.Live.Stats(id); ok {
			s.add(known, &last)
		}
		delete(s.seen, id)
	}
}

// add adds by how much the counts grew. One may shrink, such as lost packets that came late.
func (s *streams) add(known *seen, now *stream.Stats) {
	of := s.customers[known.customer]
	for i, n := range countsOf(now) {
		if n > known.added[i] {
			of[i] += n - known.added[i]
			known.added[i] = n
		}
	}
}

// beyond is the customer to whom those are added for whom there is no place.
const beyond = -1

func (s *streams) ownerOf(customer int64) int64 {
	if s.customers[customer] == nil {
		if len(s.customers) >= customersMax {
			customer = beyond
		}
		if s.customers[customer] == nil {
			s.customers[customer] = &counts{}
		}
	}
	return customer
}

func customerLabel(customer int64) string {
	if customer == beyond {
		return other
	}
	return strconv.FormatInt(customer, 10)
}

func (s *streams) collectStates(to chan<- prometheus.Metric) {
	of := map[string]int{}
	for i := range s.named {
		of[s.named[i].Stats.State]++
	}
	for _, state := range []string{stream.StateWaiting, stream.StateNoKeyFrame, stream.StateDamaged,
		stream.StateStreaming, stream.StateSilent} {
		to <- prometheus.MustNewConstMetric(s.states, prometheus.GaugeValue, float64(of[state]),
			strings.ReplaceAll(state, " ", "_"))
	}
}

// lossNoted is a loss of less than the alert CameraLosesPackets asks for.
const lossNoted = 0.02

// compareNeed puts those first that alerts are about, and then those that run longest: which ones are shown
// should not change from scrape to scrape.
func compareNeed(a, b *stream.Named) int {
	need := func(s *stream.Stats) int {
		switch {
		case s.State != stream.StateStreaming:
			return 2
		case s.Loss > lossNoted:
			return 1
		}
		return 0
	}
	return cmp.Or(need(&b.Stats)-need(&a.Stats), a.Stats.Begun.Compare(b.Stats.Begun), cmp.Compare(a.ID, b.ID))
}

func (s *streams) labelsOf(one *stream.Named) [2]string {
	source := one.Source.String()
	source = strings.ToValidUTF8(source[:min(len(source), sourceMax)], "?")
	return [2]string{customerLabel(s.ownerOf(one.Customer)), source}
}

// sourceMax is the longest id of a source in a label: longer ones than ours are cut, and may then be one.
const sourceMax = 64

// collectFigures gives running streams their own series; of a source that has two, the newer.
func (s *streams) collectFigures(to chan<- prometheus.Metric) {
	slices.SortStableFunc(s.named, func(a, b stream.Named) int { return b.Stats.Begun.Compare(a.Stats.Begun) })
	newest := map[[2]string]*stream.Named{}
	for i := range s.named {
		if labels := s.labelsOf(&s.named[i]); newest[labels] == nil {
			newest[labels] = &s.named[i]
		}
	}
	all := slices.Collect(maps.Values(newest))
	if len(all) > s.config.StreamsMax {
		slices.SortFunc(all, compareNeed)
		all = all[:s.config.StreamsMax]
	}
	for _, one := range all {
		labels := s.labelsOf(one)
		for _, f := range s.figures {
			if v, known := f.of(&one.Stats); known {
				to <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, v, labels[0], labels[1])
			}
		}
	}
}

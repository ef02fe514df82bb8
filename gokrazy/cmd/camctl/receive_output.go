// What camctl receive prints: a ready line, a line a second and stream, the sums at the end.

package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/stream"
)

// A second is what one line shows. Rates are of the last second, counts since the
// grant; delay is from capture to whole frame, null when no frame came. Without a stream there is one
// second that says so.
type second struct {
	Time        string   `json:"time"` // RFC 3339, of this machine's clock
	State       string   `json:"state"`
	Frames      uint64   `json:"frames"`
	FPS         float64  `json:"fps"`
	Kbps        float64  `json:"kbps"`
	Loss        float64  `json:"loss"` // of packets, 0 to 1
	DelayMS     *float64 `json:"delay_ms"`
	JitterMS    float64  `json:"jitter_ms"`
	Packets     uint64   `json:"packets"`
	LostPackets int64    `json:"lost_packets"`
	LostFrames  uint64   `json:"lost_frames"`
	Damaged     uint64   `json:"damaged_frames"`
	Broken      uint64   `json:"broken_frames"` // that no decoder can read
	KeyFrames   uint64   `json:"key_frames"`
	Reordered   uint64   `json:"reordered"`
	Malformed   uint64   `json:"malformed"`
	Foreign     uint64   `json:"foreign"`
	Unasked     uint64   `json:"unasked"`
	PLIs        uint64   `json:"plis"`
	NACKs       uint64   `json:"nacks"`
	Healed      uint64   `json:"healed"`       // packets that came after a NACK
	Forged      uint64   `json:"forged"`       // under SRTP
	ByesIgnored uint64   `json:"byes_ignored"` // after which the source went on
	Reports     uint64   `json:"reports"`
	SSRC        uint32   `json:"ssrc"`
	Source      string   `json:"source"`                  // address from which the stream comes; "": none yet
	Stranger    string   `json:"somebody_else,omitempty"` // who else sends here now
	ActiveS     float64  `json:"active_s"`                // in which packets came: rates of the summary are of it
	Width       int      `json:"width"`
	Height      int      `json:"height"`
	Utilization string   `json:"utilization_id"`
	Stream      string   `json:"stream,omitempty"` // which of several
	Record      string   `json:"record,omitempty"`
	Problem     string   `json:"problem,omitempty"`
	Summary     bool     `json:"summary,omitempty"`

	Update *rollout.Counts `json:"update,omitempty"` // of the update that is offered
}

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// What a stream is, in the words of a line, where they are others than those of farend/stream.
const (
	stateIdle       = "idle"   // no stream runs
	stateNobody     = "nobody" // granted, and no packet of the source came
	stateNoKeyFrame = "waiting for a key frame"
)

type printer struct {
	cmd     *cobra.Command
	json    bool
	streams map[string]counted // those of the last line, by their ids
	total   stream.Stats       // of all that are over
	at      time.Time
	rows    []server.Running // for use again
}

// counted is what the last line had of a stream.
type counted struct{ stats stream.Stats }

// ready goes to stderr, so that stdout holds nothing but the seconds.
func (p *printer) ready(s *server.Server, o receiveOptions, isOurs bool) {
	w := p.cmd.ErrOrStderr()
	rtp, rtcp := s.Ports()
	fmt.Fprintf(w, "camctl RECEIVE gateway=%s rtp=%s rtcp=%s\n", s.URL(), rtp, rtcp)
	if o.tls {
		fmt.Fprintf(w, "certificate: %s\n", gateway.CertificatePath(o.state))
	}
	p.seeds(s, o, isOurs)
	if o.record != "" {
		fmt.Fprintf(w, "recordings: %s\n", o.record)
	}
	p.at = time.Now()
}

// seeds prints what a board must be told. A key that came in a file is not for the screen; one on
// the command line is on it already; one of ours is learnt here.
func (p *printer) seeds(s *server.Server, o receiveOptions, isOurs bool) {
	w := p.cmd.ErrOrStderr()
	if isOurs {
		fmt.Fprintf(w, "key: %s\n", o.key)
	}
	switch {
	case o.seedOut != "":
		fmt.Fprintf(w, "krazycam.json for a board: in %s\n", o.seedOut)
	case o.keyFile != "":
		fmt.Fprintln(w, "krazycam.json for a board: --seed-out FILE writes it")
	case server.IsLoopback(s.URL()):
		fmt.Fprintf(w, "krazycam.json for camsource on this machine: %s\n", s.Seed(o.key))
		fmt.Fprintf(w, "krazycam.json for a board in camctl vm: %s\n", s.SeedVM(o.key))
	default:
		fmt.Fprintf(w, "krazycam.json for a board: %s\n", s.Seed(o.key))
	}
}

// lines prints a second.
func (p *printer) lines(s *server.Server, o *offering) {
	now := time.Now()
	passed := now.Sub(p.at).Seconds()
	p.at = now
	var update *rollout.Counts
	if o != nil {
		counts, changed := o.changed(p.cmd.Context())
		if update = &counts; changed && !p.json {
			fmt.Fprintln(p.cmd.OutOrStdout(), counts)
		}
	}
	p.rows = s.Running(p.rows[:0])
	p.addEnded(s)
	unasked := s.Receiver().Totals().Unasked
	if len(p.rows) == 0 {
		p.print(second{State: stateIdle, Unasked: unasked, Update: update}, false)
	}
	for _, one := range p.rows {
		id := one.Grant.ID
		row := rates(p.streams[id].stats, one.Stats, passed)
		row.Utilization, row.Stream, row.Unasked, row.Update = one.Grant.Source.String(), id, unasked, update
		p.streams[id] = counted{one.Stats}
		p.print(row, len(p.rows) > 1)
	}
}

// addEnded keeps the counts of streams that are over.
func (p *printer) addEnded(s *server.Server) {
	runs := map[string]bool{}
	for _, one := range p.rows {
		runs[one.Grant.ID] = true
	}
	for id, last := range p.streams {
		if runs[id] {
			continue
		}
		if final, ok := s.Receiver().Stats(id); ok {
			last.stats = final
		}
		p.total = sum(p.total, last.stats)
		delete(p.streams, id)
	}
}

// rates makes a row of what came between two Stats that are seconds apart.
func rates(before, s stream.Stats, seconds float64) second {
	row := second{
		State: stateWord(s.State), Frames: s.Frames, Packets: s.Packets, LostPackets: s.Lost, LostFrames: s.LostFrames,
		Damaged: s.Damaged, Broken: s.Broken, ByesIgnored: s.ByesIgnored, ActiveS: s.Active.Seconds(),
		KeyFrames: s.KeyFrames, Reordered: s.Reordered, Malformed: s.Malformed, Foreign: s.Foreign,
		PLIs: s.PLIs, NACKs: s.NACKs, Healed: s.Healed, Forged: s.Forged, Reports: s.Reports, SSRC: s.SSRC,
		Width: s.Width, Height: s.Height, Problem: s.Problem, JitterMS: milliseconds(s.Jitter),
	}
	if len(s.Records) > 0 {
		row.Record = s.Records[0]
	}
	if s.Address.IsValid() {
		row.Source = s.Address.String()
	}
	if s.Stranger.IsValid() {
		row.Stranger = s.Stranger.String()
	}
	if seconds > 0 {
		row.FPS = float64(s.Frames-before.Frames) / seconds
		row.Kbps = float64(s.Bytes-before.Bytes) * 8 / 1000 / seconds
	}
	if expected := s.Expected - before.Expected; expected > 0 && s.Lost > before.Lost {
		row.Loss = float64(s.Lost-before.Lost) / float64(expected)
	}
	if n := s.DelayCount - before.DelayCount; n > 0 {
		ms := milliseconds((s.DelaySum - before.DelaySum) / time.Duration(n))
		row.DelayMS = &ms
	}
	return row
}

func stateWord(state string) string {
	switch state {
	case stream.StateWaiting:
		return stateNobody
	case stream.StateNoKeyFrame:
		return stateNoKeyFrame
	}
	return state
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// sum adds counts; what is of the moment is b's.
func sum(a, b stream.Stats) stream.Stats {
	b.Packets += a.Packets
	b.Bytes += a.Bytes
	b.Expected += a.Expected
	b.Lost += a.Lost
	b.Reordered += a.Reordered
	b.Frames += a.Frames
	b.KeyFrames += a.KeyFrames
	b.Damaged += a.Damaged
	b.Broken += a.Broken
	b.ByesIgnored += a.ByesIgnored
	b.Active += a.Active
	b.LostFrames += a.LostFrames
	b.Malformed += a.Malformed
	b.Foreign += a.Foreign
	b.SenderReports += a.SenderReports
	b.Reports += a.Reports
	b.PLIs += a.PLIs
	b.NACKs += a.NACKs
	b.Healed += a.Healed
	b.Forged += a.Forged
	b.DelaySum += a.DelaySum
	b.DelayCount += a.DelayCount
	return b
}

// summaryTimeMin keeps a stream of an instant from rates that nobody saw.
const summaryTimeMin = time.Second

// summary has the sums of all streams; its rates are of the time in which packets came, added up.
func (p *printer) summary(s *server.Server) {
	p.rows = p.rows[:0]
	p.addEnded(s)
	row := rates(stream.Stats{}, p.total, max(p.total.Active, summaryTimeMin).Seconds())
	row.State, row.Summary, row.Unasked = "ended", true, s.Receiver().Totals().Unasked
	p.print(row, false)
}

// print prints a line; named says which stream it is about.
func (p *printer) print(row second, named bool) {
	w := p.cmd.OutOrStdout()
	row.Time = time.Now().Format(timeFormat)
	if p.json {
		_ = json.NewEncoder(w).Encode(row) // a closed stdout ends us by SIGPIPE
		return
	}
	delay, of := "-", ""
	if row.DelayMS != nil {
		delay = fmt.Sprintf("%.1f ms", *row.DelayMS)
	}
	if named {
		of = "  of " + row.Utilization
	}
	fmt.Fprintf(w, "%-9s frames %d  fps %.1f  kbit/s %.0f  loss %.2f %%  delay %s%s\n",
		row.State, row.Frames, row.FPS, row.Kbps, row.Loss*100, delay, of)
}

// What camctl receive prints: a ready line, a line a second, the sums at the end.

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/gateway/single"
	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/farend/rollout"
)

// seed is the krazycam.json of a board that streams to us.
func seed(url, key, ca string) string {
	g := map[string]any{"url": url, "key": key}
	if ca != "" {
		g["ca"] = ca
	}
	if strings.HasPrefix(url, "http:") {
		g["allow-http"] = true
	}
	if isLoopback(url) { // a camsource on this machine refuses to send to itself unless it may
		g["allow-loopback"] = true
	}
	b, _ := json.Marshal(map[string]any{"gateway": g}) // strings and bools only
	return string(b)
}

func isLoopback(gatewayURL string) bool {
	u, err := url.Parse(gatewayURL)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// A second is what one line shows. Rates are of the last second, counts since the
// grant; delay is from capture to whole frame, null when no frame came.
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
	Record      string   `json:"record,omitempty"`
	Problem     string   `json:"problem,omitempty"`
	Summary     bool     `json:"summary,omitempty"`

	Update *rollout.Counts `json:"update,omitempty"` // of the update that is offered
}

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

type printer struct {
	cmd    *cobra.Command
	json   bool
	before receiver.Stats
	total  receiver.Stats // of all grants but the running one
	at     time.Time
}

// ready goes to stderr, so that stdout holds nothing but the seconds.
func (p *printer) ready(s *station, o receiveOptions) {
	w := p.cmd.ErrOrStderr()
	rtp, rtcp := s.receiver.Ports()
	host, _, _ := net.SplitHostPort(o.listen)
	fmt.Fprintf(w, "camctl RECEIVE gateway=%s rtp=%s rtcp=%s\n", s.url,
		net.JoinHostPort(host, strconv.Itoa(rtp)), net.JoinHostPort(host, strconv.Itoa(rtcp)))
	if o.tls {
		fmt.Fprintf(w, "certificate: %s\n", gateway.CertificatePath(o.state))
	}
	p.seeds(s, o)
	if o.ivf != "" {
		fmt.Fprintf(w, "recordings: %s\n", o.ivf)
	}
	p.at = time.Now()
}

// seeds prints what a board must be told. A key that came in a file is not for the screen; one on
// the command line is on it already.
func (p *printer) seeds(s *station, o receiveOptions) {
	w := p.cmd.ErrOrStderr()
	if s.newKey {
		fmt.Fprintf(w, "key: %s\n", o.key)
	}
	switch {
	case o.seedOut != "":
		fmt.Fprintf(w, "krazycam.json for a board: in %s\n", o.seedOut)
	case o.keyFile != "":
		fmt.Fprintln(w, "krazycam.json for a board: --seed-out FILE writes it")
	case isLoopback(s.url):
		fmt.Fprintf(w, "krazycam.json for camsource on this machine: %s\n", s.seed)
		fmt.Fprintf(w, "krazycam.json for a board in camctl vm: %s\n", s.vmSeed)
	default:
		fmt.Fprintf(w, "krazycam.json for a board: %s\n", s.seed)
	}
}

func (p *printer) line(s receiver.Stats, g single.State, o *offering) {
	now := time.Now()
	p.turn(s)
	row := rates(p.before, s, now.Sub(p.at).Seconds())
	row.Utilization = g.Utilization.String()
	p.before, p.at = s, now
	if o != nil {
		counts, changed := o.changed()
		if row.Update = &counts; changed && !p.json {
			fmt.Fprintln(p.cmd.OutOrStdout(), counts)
		}
	}
	p.print(row)
}

// turn keeps the counts of a grant that is over, since the next begins at 0. What
// came between the last line and its end is lost to the sums.
func (p *printer) turn(s receiver.Stats) {
	if s.Grant != p.before.Grant {
		p.total = sum(p.total, p.before)
		p.before = receiver.Stats{Grant: s.Grant}
	}
}

// rates makes a row of what came between two Stats that are seconds apart.
func rates(before, s receiver.Stats, seconds float64) second {
	row := second{
		State: s.State, Frames: s.Frames, Packets: s.Packets, LostPackets: s.Lost, LostFrames: s.LostFrames,
		Damaged: s.Damaged, Broken: s.Broken, ByesIgnored: s.ByesIgnored, ActiveS: s.Active.Seconds(),
		KeyFrames: s.KeyFrames, Reordered: s.Reordered, Malformed: s.Malformed, Foreign: s.Foreign, Unasked: s.Unasked,
		PLIs: s.PLIs, NACKs: s.NACKs, Healed: s.Healed, Forged: s.Forged, Reports: s.Reports, SSRC: s.SSRC,
		Width: s.Width, Height: s.Height, Record: s.Record, Problem: s.Problem,
		JitterMS: milliseconds(s.Jitter),
	}
	if s.Source.IsValid() {
		row.Source = s.Source.String()
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

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func sum(a, b receiver.Stats) receiver.Stats {
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

// summary has the sums of all grants; its rates are of the time in which packets came.
func (p *printer) summary(s receiver.Stats) {
	p.turn(s)
	all := sum(p.total, s)
	row := rates(receiver.Stats{}, all, max(all.Active, summaryTimeMin).Seconds())
	row.State, row.Summary = "ended", true
	p.print(row)
}

func (p *printer) print(row second) {
	w := p.cmd.OutOrStdout()
	row.Time = time.Now().Format(timeFormat)
	if p.json {
		_ = json.NewEncoder(w).Encode(row) // a closed stdout ends us by SIGPIPE
		return
	}
	delay := "-"
	if row.DelayMS != nil {
		delay = fmt.Sprintf("%.1f ms", *row.DelayMS)
	}
	fmt.Fprintf(w, "%-9s frames %d  fps %.1f  kbit/s %.0f  loss %.2f %%  delay %s\n",
		row.State, row.Frames, row.FPS, row.Kbps, row.Loss*100, delay)
}

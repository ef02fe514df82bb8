// What the rig asserts about a board in its VM: start, stream, replug, and what went over
// the wire.

package rig

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// checkStart waits for the first decoded picture and says how long the board took.
func (g *rig) checkStart(ctx context.Context, t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	first, err := g.decoders[0].firstMadeAfter(ctx, g.Started())
	if err != nil {
		t.Fatal(err)
	}
	g.slower = g.calibrate(t)
	g.decoders = append(g.decoders, <-g.second)
	since := func(at time.Time) float64 { return at.Sub(g.Started()).Seconds() }
	t.Logf("FIGURE %s: power on (QEMU) to gateway request %.2f s, "+
		"to first RTP packet %.2f s, to first decoded picture %.2f s",
		g.board, since(<-g.asked), since(g.tap.counted().first), since(first.at))
}

// sayLines tells when the board said what, once all of it came over the serial line, and
// how much memory camsource took.
func (g *rig) sayLines(t *testing.T) {
	t.Helper()
	memory := 0
	for _, l := range g.Lines() {
		if strings.Contains(l.Text, " READY") {
			t.Logf("FIGURE %s: power on (QEMU) + %.2f s: %s", g.board, l.At.Sub(g.Started()).Seconds(), l.Text)
		}
		if _, rss, ok := strings.Cut(l.Text, " rss="); ok {
			_, _ = fmt.Sscanf(rss, "%dkB", &memory) // one that cannot be read stays 0
		}
	}
	t.Logf("FIGURE %s: resident memory of camsource when its first frame is sent, %dx%d: %d kB",
		g.board, rigSize.Width, rigSize.Height, memory)
	if memory < 1000 || memory > rigMaxMemory {
		t.Errorf("camsource keeps %d kB in memory, want at most %d", memory, rigMaxMemory)
	}
}

// rigTries is how many stretches of 12 s are measured until one is fast enough: another program
// on this machine can spoil one, a slow board spoils all. A board that had to shed load while it
// started goes on with half the rate for 40 s (package overload).
const rigTries = 6

// checkStream measures undisturbed stretches of the stream. Speed counts in the best of
// them, everything else over the whole time.
func (g *rig) checkStream(ctx context.Context, t *testing.T) {
	t.Helper()
	for try := 1; ; try++ {
		slow := g.measureStretch(ctx, t)
		if len(slow) == 0 {
			break
		}
		t.Logf("stretch %d of %d is too slow: %s", try, rigTries, strings.Join(slow, "; "))
		if try == rigTries {
			t.Errorf("no stretch of %d was fast enough", rigTries)
			break
		}
	}
	n := g.tap.counted()
	t.Logf("FIGURE %s 320x240@30: %d RTP packets, %d frames, %d packets lost", g.board, n.packets, n.frames, n.lost)
	if n.lost != 0 {
		t.Errorf("RTP packets lost = %d, want 0", n.lost)
	}
	smaller := g.smallerPictures()
	if smaller {
		t.Log("the board halved the sides of its pictures: their PSNR is not judged")
	}
	for _, d := range g.decoders {
		r, fit := summarize(d.sightings()), d.fitness(t)
		t.Logf("FIGURE %s 320x240@30, %s: unreadable %d, repeated %d, backwards %d; %v",
			g.board, d.name, r.unreadable, r.repeated, r.backwards, &fit)
		if r.unreadable != 0 || r.backwards != 0 || r.repeated != 0 {
			t.Errorf("%s: unreadable %d, backwards %d, repeated %d, want 0", d.name, r.unreadable, r.backwards,
				r.repeated)
		}
		for i, db := range fit.planes() {
			if db < rigMinPSNR && !smaller {
				t.Errorf("%s: PSNR of %c %.1f dB, want %d at least", d.name, "YUV"[i], db, rigMinPSNR)
			}
		}
		// A decoder may hold a picture back, and some are on their way to it; what stays
		// missing are frames that it could not show.
		missing := func() int { return g.tap.counted().frames - len(d.sightings()) }
		for end := time.Now().Add(g.slower.limit(5 * time.Second)); missing() > 5 && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
		if m := missing(); m > 5 {
			t.Errorf("%s: %d of %d frames were not decoded", d.name, m, n.frames)
		}
	}
}

// measureStretch says what was too slow in the coming stretch.
func (g *rig) measureStretch(ctx context.Context, t *testing.T) (slow []string) {
	t.Helper()
	// Wait on the stream itself: a picture made after the settling, then one made after
	// the measuring.
	from := time.Now().Add(rigSettle)
	to := from.Add(rigMeasure)
	for i, d := range g.decoders {
		if _, err := d.firstMadeAfter(ctx, to); err != nil {
			t.Fatal(err)
		}
		r := summarize(between(d.sightings(), from, to))
		t.Logf("FIGURE %s 320x240@30, %s: %v", g.board, d.name, r)
		if want := g.slower.minFPS(); r.fps < want {
			slow = append(slow, fmt.Sprintf("%s: %.1f fps, want %.1f at least", d.name, r.fps, want))
		}
		// ffmpeg buffers what it reads: only GStreamer shows the delay.
		if want := g.slower.limit(rigMaxP50); i == 0 && r.p50 > want {
			slow = append(slow, fmt.Sprintf("camera to decoded p50 = %v, want %v at most", r.p50, want))
		}
	}
	return slow
}

// between are the pictures that were decoded from one time to another.
func between(all []sighting, from, to time.Time) []sighting {
	var out []sighting
	for _, s := range all {
		if s.at.After(from) && s.at.Before(to) {
			out = append(out, s)
		}
	}
	return out
}

// replugs is how often the camera is plugged in again until it is fast enough: what takes
// the machine away for a second spoils one, a slow board is slow in all.
const replugs = 3

// checkReplug pulls the camera in mid stream and plugs it in again.
func (g *rig) checkReplug(ctx context.Context, t *testing.T) {
	t.Helper()
	for try := 1; !g.replug(ctx, t); try++ {
		if try == replugs {
			t.Errorf("no first new picture within %v in %d replugs", g.slower.limit(rigMaxReplug), replugs)
			return
		}
	}
}

// replug tells whether both decoders had a new picture in time.
func (g *rig) replug(ctx context.Context, t *testing.T) (inTime bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, g.slower.limit(20*time.Second))
	defer cancel()
	g.Unplug()
	pause := time.NewTimer(time.Second) // a hand needs that long
	<-pause.C
	plugged := time.Now()
	if err := g.Plug(); err != nil {
		t.Fatal(err)
	}
	inTime = true
	for _, d := range g.decoders {
		s, err := d.firstMadeAfter(ctx, plugged)
		if err != nil {
			t.Fatal(err)
		}
		took := s.at.Sub(plugged)
		t.Logf("FIGURE %s, %s: first new picture %d ms after the replug", g.board, d.name, took.Milliseconds())
		inTime = inTime && took <= g.slower.limit(rigMaxReplug)
	}
	return inTime
}

// tshark lists a field of the packets that match.
func (g *rig) tshark(t *testing.T, filter, field string) []string {
	t.Helper()
	rtp := g.tap.LocalAddr().(*net.UDPAddr).Port
	out := run(t, nil, "tshark", "-n", "-r", g.capture,
		"-d", fmt.Sprintf("udp.port==%d,rtp", rtp), "-d", fmt.Sprintf("udp.port==%d,rtcp", g.rtcpPort),
		"-d", "rtp.pt==96,vp8", "-d", fmt.Sprintf("tcp.port==%d,http", g.gateway), "-Y", filter, "-T", "fields", "-e",
		field)
	var values []string
	for _, line := range strings.Split(out, "\n") {
		if line != "" && !strings.Contains(line, "Running as user") {
			values = append(values, line)
		}
	}
	return values
}

// checkWire looks at all that the board sent: nothing before it was allowed to, and
// nothing that a dissector cannot read.
func (g *rig) checkWire(t *testing.T) {
	t.Helper()
	const severe = "_ws.malformed || _ws.expert.severity >= 6291456" // warnings are 0x600000
	bad := g.tshark(t, "(rtp || rtcp || vp8) && ("+severe+")", "_ws.col.Info")
	if len(bad) > 0 {
		t.Errorf("%d malformed RTP, RTCP or VP8 packets, the first: %s", len(bad), bad[0])
	}
	rtp, rtcp := g.tshark(t, "rtp", "frame.number"), g.tshark(t, "rtcp", "frame.number")
	t.Logf("FIGURE %s in tshark: %d RTP and %d RTCP packets, %d malformed", g.board, len(rtp), len(rtcp), len(bad))
	granted := g.tshark(t, fmt.Sprintf("tcp.srcport == %d && frame contains \"rtp_port\"", g.gateway), "frame.number")
	if len(rtp) == 0 || len(rtcp) == 0 || len(granted) == 0 {
		t.Fatalf("the dump holds %d RTP, %d RTCP packets and %d grants", len(rtp), len(rtcp), len(granted))
	}
	g.checkEchoes(t)
	g.sayLines(t)
	g.sayWithoutDHCP(t)
	first, err := strconv.Atoi(granted[0])
	if err != nil {
		t.Fatal(err)
	}
	allowed := fmt.Sprintf("arp || icmpv6 || dhcp || dns || ntp || tcp.dstport == %d", g.gateway)
	filter := fmt.Sprintf("frame.number < %d && eth.src == 52:54:00:12:34:56 && !(%s)", first, allowed)
	if early := g.tshark(t, filter, "_ws.col.Info"); len(early) > 0 {
		t.Errorf("before the grant the board sent %d packets that are none of %s, the first: %s",
			len(early), allowed, early[0])
	}
}

// checkEchoes wants echo requests to the receiver's host and to nobody else, and QEMU answers
// them: that camsource may ask is init's doing.
func (g *rig) checkEchoes(t *testing.T) {
	t.Helper()
	asked := g.tshark(t, "icmp.type == 8 && eth.src == 52:54:00:12:34:56", "ip.dst")
	answered := g.tshark(t, "icmp.type == 0 && eth.dst == 52:54:00:12:34:56", "frame.number")
	receiver := g.tshark(t, "rtp", "ip.dst")[0]
	t.Logf("FIGURE %s: %d echo requests to the receiver's host, %d answers", g.board, len(asked), len(answered))
	elsewhere := slices.ContainsFunc(asked, func(to string) bool { return to != receiver })
	if len(asked) == 0 || len(answered) == 0 || elsewhere {
		t.Errorf("%d echo requests to %v with %d answers, want some, to %s alone",
			len(asked), slices.Compact(asked), len(answered), receiver)
	}
}

// sayWithoutDHCP tells how long the board's own part of the start took: init from its first
// line to READY, and from the DHCP server's last word to the first RTP packet.
func (g *rig) sayWithoutDHCP(t *testing.T) {
	t.Helper()
	seconds := func(filter string) float64 {
		at := g.tshark(t, filter, "frame.time_relative")
		if len(at) == 0 {
			t.Fatalf("the dump holds no %s", filter)
		}
		s, err := strconv.ParseFloat(at[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var start, up float64
	for _, l := range g.Lines() {
		if at := strings.Index(l.Text, " start="); at >= 0 && strings.Contains(l.Text, "init READY") {
			if _, err := fmt.Sscanf(l.Text[at:], " start=%fs up=%fs", &start, &up); err != nil {
				t.Fatalf("%s: %v", l.Text, err)
			}
		}
	}
	asked := seconds("dhcp.option.dhcp == 1")
	acked := seconds("dhcp.option.dhcp == 5")
	request := seconds(fmt.Sprintf("http.request && tcp.dstport == %d", g.gateway))
	rtp := seconds("rtp")
	t.Logf("FIGURE %s: init %.2f s, DHCP ACK to gateway request %.2f s, to first RTP packet %.2f s: "+
		"init to RTP without DHCP %.2f s (DHCP's own packets took %.2f s)",
		g.board, up-start, request-acked, rtp-acked, up-start+rtp-acked, acked-asked)
}

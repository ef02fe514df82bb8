// A path that carries small packets only, and says nothing.

package rtpsend

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
)

// A narrowReceiver gets the packets of a rig that fit its path, and reports what is missing.
type narrowReceiver struct {
	mtu    int
	lost   func() bool // besides, of any size; nil: none
	seen   int         // packets of the rig looked at
	twcc   *twcc.Recorder
	next   uint16
	any    bool
	frames int // whole ones
	broken bool
}

// look takes what left since it looked last and answers by transport feedback, or by NACK.
func (n *narrowReceiver) look(t *testing.T, r *rig) {
	t.Helper()
	var missing []uint16
	for _, p := range r.media.packets[n.seen:] {
		n.seen++
		size := p.Header.MarshalSize()
		if p.PayloadType != 96 {
			continue
		}
		arrives := 28+size+len(p.Payload) <= n.mtu && (n.lost == nil || !n.lost())
		if arrives && n.twcc != nil {
			if number := p.GetExtension(5); len(number) == 2 {
				n.twcc.Record(p.SSRC, uint16(number[0])<<8|uint16(number[1]), time.Since(r.start).Microseconds())
			}
		}
		if n.any && p.SequenceNumber-n.next >= 1<<15 { // sent again
			continue
		}
		if arrives {
			for n.any && n.next != p.SequenceNumber {
				missing = append(missing, n.next)
				n.next++
			}
			n.any, n.next = true, p.SequenceNumber+1
		} else {
			n.broken = true
		}
		if p.Marker {
			if !n.broken {
				n.frames++
			}
			n.broken = false
		}
	}
	if n.twcc != nil {
		for _, p := range n.twcc.BuildFeedbackPacket() {
			r.receive(marshal(t, p), peer)
		}
	} else if len(missing) > 0 {
		r.receive(marshal(t, &rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: testSSRC,
			Nacks: rtcp.NackPairsFromSequenceNumbers(missing)}), peer)
	}
}

func TestPathThatCarriesSmallPacketsOnlyIsFoundAndSaidOnce(t *testing.T) {
	for name, c := range map[string]struct {
		cfg Config
		mtu int
	}{
		"transport feedback":         {Config{TransportID: 5, MTU: 1228}, 1000},
		"requests":                   {Config{MTU: 1228}, 1000},
		"the owner's MTU, requests":  {Config{MTU: 1500}, 1280},
		"the owner's, far too large": {Config{TransportID: 5, MTU: 1500}, 900},
		"an MTU of 800":              {Config{TransportID: 5, MTU: 1228}, 800},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := &diary{}
				c.cfg.Path = path
				c.cfg.Bandwidth = 600_000
				r := newRigWith(t, c.cfg)
				defer r.Close()
				var log bytes.Buffer
				r.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
				far := &narrowReceiver{mtu: c.mtu}
				if c.cfg.TransportID != 0 {
					far.twcc = twcc.NewRecorder(1)
				}
				sizes := []int{700, 2500, 3100, 500, 1900, 2600, 2200, 900}
				late := 0 // frames that were lost after 10 s
				for i := range 30 * 20 {
					key := i == 0 || r.KeyFrameWanted() || i%30 == 0 // as a receiver's PLI asks for
					n := sizes[i%len(sizes)]
					if key {
						n = 12_000
					}
					r.frame(t, key, n)
					time.Sleep(time.Second / 30)
					r.sending.Lock()
					before := far.frames
					far.look(t, r)
					r.sending.Unlock()
					if i > 300 {
						late += 1 - (far.frames - before)
					}
				}
				if said := strings.Count(log.String(), "only small packets arrive"); said == 0 || said != path.smaller {
					t.Errorf("said %d times, the path heard %d:\n%s", said, path.smaller, &log)
				}
				if late > 3 { // one frame is between two looks
					t.Errorf("%d of 299 frames lost once it should be known:\n%s", late, &log)
				}
				t.Logf("%d of 600 frames\n%s", far.frames, &log)
			})
		})
	}
}

// A wireless is a stream over a path that loses packets for other reasons than size, and maybe for
// their size, too.
type wireless struct {
	transport bool          // the receiver reports arrivals; else it asks for what is missing
	on, off   time.Duration // on the mean; nothing is lost while on
	share     float64       // of what is lost while off
	mtu       int
	misjudged bool // it begins with a step down
}

// play says how long packets were small, when they were for the last time, and how many pictures were
// lost after the first 10 s.
func (w wireless) play(t *testing.T, seed uint64, length time.Duration) (small, last time.Duration, lost int) {
	cfg := Config{Bandwidth: 600_000, MTU: 1228}
	far := &narrowReceiver{mtu: w.mtu}
	if w.transport {
		cfg.TransportID, far.twcc = 5, twcc.NewRecorder(1)
	}
	r := newRigWith(t, cfg)
	defer r.Close()
	rng := rand.New(rand.NewPCG(seed, 5))
	begin, until, off := r.cfg.Monotonic(), time.Duration(0), true
	far.lost = func() bool {
		for r.cfg.Monotonic()-begin >= until {
			off = !off
			mean := w.on
			if off {
				mean = w.off
			}
			until += time.Duration(rng.ExpFloat64() * float64(mean))
		}
		return off && rng.Float64() < w.share
	}
	for i := 0; ; i++ {
		passed := r.cfg.Monotonic() - begin
		if passed > length {
			return small, last, lost
		}
		key := i == 0 || r.KeyFrameWanted() || i%60 == 0
		n := 600 + rng.IntN(2600)
		if key {
			n = 10_000 + rng.IntN(4000)
		}
		r.frame(t, key, n)
		time.Sleep(time.Second / 30)
		r.sending.Lock()
		if i == 0 && w.misjudged {
			r.queue.limit.StepDown(r.cfg.Monotonic(), 900)
			r.usePacketSize(r.cfg.Monotonic(), true)
		}
		if r.queue.limit.Size() < 1228 {
			small, last = small+time.Second/30, passed
		}
		before := far.frames
		far.look(t, r)
		r.media.packets, far.seen = r.media.packets[:0], 0
		if passed > 10*time.Second {
			lost += 1 - (far.frames - before)
		}
		r.sending.Unlock()
	}
}

// playBeside plays beside other streams, as a test of its own, and hands on what play said.
func (w wireless) playBeside(t *testing.T, name string, length time.Duration,
	check func(t *testing.T, small, last time.Duration, lost int)) {
	t.Run(fmt.Sprintf("%s, transport feedback %v", name, w.transport), func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			small, last, lost := w.play(t, 1, length)
			check(t, small, last, lost)
		})
	})
}

func TestDisturbedRadioDoesNotKeepPacketsSmall(t *testing.T) {
	const ms = time.Millisecond
	for name, w := range map[string]wireless{
		"5 s, 200 ms":                     {on: 5000 * ms, off: 200 * ms, share: 0.9},
		"1 s, 100 ms":                     {on: 1000 * ms, off: 100 * ms, share: 0.9},
		"2 s, 50 ms":                      {on: 2000 * ms, off: 50 * ms, share: 0.9},
		"misjudged, 5 s, 200 ms":          {on: 5000 * ms, off: 200 * ms, share: 0.9, misjudged: true},
		"misjudged, 2 s, 50 ms":           {on: 2000 * ms, off: 50 * ms, share: 0.9, misjudged: true},
		"misjudged, and nothing lost now": {on: time.Hour, misjudged: true},
	} {
		for _, w.transport = range []bool{true, false} {
			w.mtu = 1500
			w.playBeside(t, name, 12*time.Minute, func(t *testing.T, small, last time.Duration, _ int) {
				t.Logf("packets are small for %v, last after %v", small, last)
				most := time.Minute
				if w.on == time.Hour {
					most = 10*time.Minute + time.Second
				}
				if small > most {
					t.Errorf("packets are small for %v of 12 min, want %v at most", small, most)
				}
			})
		}
	}
}

func TestTrialsOfLargePacketsCostFewPictures(t *testing.T) {
	for name, w := range map[string]wireless{
		"small packets alone":           {on: time.Hour, mtu: 1000},
		"and bursts lost":               {on: 5 * time.Second, off: 200 * time.Millisecond, share: 0.9, mtu: 1000},
		"and one of ten lost by chance": {off: time.Hour, share: 0.1, mtu: 1000},
	} {
		for _, w.transport = range []bool{true, false} {
			w.playBeside(t, name, 25*time.Minute, func(t *testing.T, small, _ time.Duration, lost int) {
				t.Logf("small for %v of 25 min, %d of 45,000 pictures lost", small, lost)
				if small < 24*time.Minute || w.on == time.Hour && lost > 50 {
					t.Errorf("packets are small for %v of 25 min, %d pictures lost", small, lost)
				}
			})
		}
	}
}

// Cuts of the rate that follow from losses are taken back where packets become smaller; here they cannot.
func TestPathHearsNothingWherePacketsAreSmallAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := &diary{}
		r := newRigWith(t, Config{MTU: 576, Bandwidth: 600_000, Path: path})
		defer r.Close()
		far := &narrowReceiver{mtu: 520}
		for i := range 600 {
			n := 300
			if i%10 == 9 {
				n = 6000
			}
			r.frame(t, i == 0, n)
			time.Sleep(time.Second / 30)
			r.sending.Lock()
			far.look(t, r)
			r.sending.Unlock()
		}
		if path.smaller != 0 {
			t.Errorf("the path heard %d times that packets are smaller, want 0", path.smaller)
		}
		if r.Stats().NACKs == 0 {
			t.Error("nothing was asked for")
		}
	})
}

// Nothing arrives, by the receiver's reports: at first all the time, and then everything does.
func TestGuessThatPacketsAreTooLargeIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{MTU: 1228})
		defer r.Close()
		var log bytes.Buffer
		r.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		sizes := []int{1228}
		highest := uint32(65534)
		play := func(length time.Duration, arrives bool) {
			for range int(length / time.Second) {
				r.frame(t, false, 1000)
				if arrives {
					highest++
				}
				r.feed(t, reception(rtcp.ReceptionReport{SSRC: testSSRC, LastSequenceNumber: highest}))
				time.Sleep(time.Second)
				synctest.Wait()
				if size := r.queue.limit.Size(); size != sizes[len(sizes)-1] {
					sizes = append(sizes, size)
				}
			}
		}
		play(40*time.Second, false)
		if want := []int{1228, 576, 1228}; !slices.Equal(sizes, want) {
			t.Errorf("nothing arrives for 40 s: sizes %v, want %v", sizes, want)
		}
		play(2*time.Minute, true)
		sizes = sizes[len(sizes)-1:]
		play(2*time.Minute, false)
		play(4*time.Minute, true)
		if last := sizes[len(sizes)-1]; last != 1228 {
			t.Errorf("%d bytes 4 min after all arrives again, want 1228; before: %v", last, sizes)
		}
		for _, line := range strings.Split(log.String(), "\n") {
			if strings.Contains(line, "nothing arrives: ") && strings.Contains(line, "because=") {
				t.Errorf("a guess is logged as known: %s", line)
			}
		}
		t.Logf("%s", &log)
	})
}

// A path that carries small packets only, and says nothing.

package rtpsend

import (
	"bytes"
	"log/slog"
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
	seen   int // packets of the rig looked at
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
		arrives := 28+size+len(p.Payload) <= n.mtu
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

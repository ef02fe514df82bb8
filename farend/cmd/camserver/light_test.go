// Light sources: camsource's own client and session, and frames of one packet in the place of a camera and
// an encoder. Hundreds of them run in one test.

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/firmware/gateway"
)

const (
	lightInterval = 40 * time.Millisecond  // of its frames
	lightTicks    = 3600                   // of RTP, in that time
	lightReports  = 500 * time.Millisecond // of its SR
	lightSilence  = 5 * time.Second        // of the receiver, after which it doubts
)

// A lightSource streams while it is granted. Figures are of all grants.
type lightSource struct {
	session *gateway.Session
	grants  atomic.Int64
	refused atomic.Int64 // datagrams, by the receiver's host
	sentAt  atomic.Int64 // the last packet, in Unix nanoseconds

	mu     sync.Mutex
	cancel context.CancelFunc
	done   sync.WaitGroup
	ssrc   uint32
	sent   uint64 // of the running grant
}

// startLights runs n sources that ask at url until the test ends, or stop is called.
func startLights(t *testing.T, n int, url, key, ca string) (all []*lightSource, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range n {
		client, err := gateway.NewClient(gateway.ClientConfig{URL: url, Key: key, CA: ca, AllowHTTP: true})
		if err != nil {
			t.Fatal(err)
		}
		l := &lightSource{}
		l.session = gateway.NewSession(gateway.SessionConfig{
			Asker: client, Policy: gateway.Policy{AllowLoopback: true},
		})
		all = append(all, l)
		running.Go(func() {
			select { // boards do not come all at once
			case <-ctx.Done():
			case <-time.After(time.Duration(i) * 20 * time.Millisecond):
				_ = l.session.Run(ctx, 320, 240, l) // why a stop was not told is not of interest
			}
		})
	}
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return all, stop
}

// Begin implements gateway.Stream.
func (l *lightSource) Begin(_ context.Context, g gateway.Grant) error {
	media, err := net.Dial("udp", g.RTP.String())
	if err != nil {
		return err
	}
	reports, err := net.Dial("udp", g.RTCP.String())
	if err != nil {
		return errors.Join(err, media.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.mu.Lock()
	l.cancel, l.ssrc, l.sent = cancel, g.SSRC, 0
	l.mu.Unlock()
	l.grants.Add(1)
	var heardAt atomic.Int64
	heardAt.Store(time.Now().UnixNano())
	l.done.Go(func() { l.listen(reports, &heardAt) })
	l.done.Go(func() {
		l.send(ctx, media, reports, g.SSRC, &heardAt)
		_, _ = media.Close(), reports.Close()
	})
	return nil
}

// KeyFrame implements gateway.Stream: each frame of these is one.
func (l *lightSource) KeyFrame() {}

// End implements gateway.Stream.
func (l *lightSource) End() {
	l.mu.Lock()
	cancel := l.cancel
	l.mu.Unlock()
	cancel()
	l.done.Wait()
}

// listen reads what the receiver says, until the socket is closed.
func (l *lightSource) listen(reports net.Conn, heardAt *atomic.Int64) {
	b := make([]byte, 2048)
	for {
		n, err := reports.Read(b)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			l.refused.Add(1)
			l.session.Doubt()
			continue
		case err != nil:
			return
		}
		heardAt.Store(time.Now().UnixNano())
		all, _ := rtcp.Unmarshal(b[:n])
		for _, p := range all {
			if _, over := p.(*rtcp.Goodbye); over {
				l.session.Doubt()
			}
		}
	}
}

// send sends frames and reports until ctx ends, then BYE.
func (l *lightSource) send(ctx context.Context, media, reports net.Conn, ssrc uint32, heardAt *atomic.Int64) {
	ticker := time.NewTicker(lightInterval)
	defer ticker.Stop()
	sequence, stamp := uint16(rand.Uint32()), rand.Uint32()
	var reportedAt time.Time
	for n := uint32(0); ; n++ {
		p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: sequence,
			Timestamp: stamp, SSRC: ssrc, Marker: true}, Payload: lightFrame}
		b, err := p.Marshal()
		if err != nil {
			panic(err)
		}
		if _, err := media.Write(b); errors.Is(err, syscall.ECONNREFUSED) {
			l.refused.Add(1)
			l.session.Doubt()
		}
		l.sentAt.Store(time.Now().UnixNano())
		l.mu.Lock()
		l.sent++
		l.mu.Unlock()
		sequence, stamp = sequence+1, stamp+lightTicks
		if now := time.Now(); now.Sub(reportedAt) >= lightReports {
			reportedAt = now
			sendRTCP(reports, &rtcp.SenderReport{SSRC: ssrc, NTPTime: uint64(now.Unix()+2208988800) << 32,
				RTPTime: stamp, PacketCount: n, OctetCount: n * uint32(len(lightFrame))})
			if now.UnixNano()-heardAt.Load() > int64(lightSilence) {
				heardAt.Store(now.UnixNano())
				l.session.Doubt()
			}
		}
		select {
		case <-ctx.Done():
			sendRTCP(reports, &rtcp.ReceiverReport{SSRC: ssrc}, &rtcp.Goodbye{Sources: []uint32{ssrc}})
			return
		case <-ticker.C:
		}
	}
}

func sendRTCP(to net.Conn, packets ...rtcp.Packet) {
	if b, err := rtcp.Marshal(packets); err == nil {
		_, _ = to.Write(b) // nobody may be there
	}
}

// lightFrame is the payload of a key frame of 320x240: VP8 descriptor, frame header, and something that
// stands for pictures, of about 100 kbit/s at 25 frames a second.
var lightFrame = append([]byte{0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 240, 0}, make([]byte, 489)...)

// isStreaming says that the gateway captures its stream.
func (l *lightSource) isStreaming() bool { return l.session.State().Phase == gateway.PhaseStreaming }

// countStreaming counts them.
func countStreaming(all []*lightSource) (n int) {
	for _, l := range all {
		if l.isStreaming() {
			n++
		}
	}
	return n
}

// leastSent is how many packets of its running grant the slowest source has sent.
func leastSent(all []*lightSource) uint64 {
	least := uint64(math.MaxUint64)
	for _, l := range all {
		l.mu.Lock()
		least = min(least, l.sent)
		l.mu.Unlock()
	}
	return least
}

// describe says in which phases they are, and what is wrong with the first that has a problem.
func describe(all []*lightSource) string {
	phases, problem := map[gateway.Phase]int{}, ""
	for _, l := range all {
		s := l.session.State()
		phases[s.Phase]++
		if problem == "" {
			problem = s.Problem
		}
	}
	return fmt.Sprintf("%v, %q", phases, problem)
}

// waitFor waits for a condition that comes by itself.
func waitFor(t *testing.T, most time.Duration, what string, is func() bool, state func() string) time.Duration {
	t.Helper()
	began := time.Now()
	for !is() {
		if time.Since(began) > most {
			t.Fatalf("not within %v: %s (%s)", most, what, state())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

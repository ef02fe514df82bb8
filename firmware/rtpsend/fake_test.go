// Sockets of memory, for tests in the fake time of testing/synctest.

package rtpsend

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/pathsize"
	"github.com/krazycam/krazycam/firmware/rtpsend/resend"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const testSSRC = 0x12345678

var (
	testRTP  = netip.MustParseAddrPort("192.0.2.1:5004")
	testRTCP = netip.MustParseAddrPort("192.0.2.1:5005")
	peer     = netip.MustParseAddrPort("192.0.2.1:40000") // the receiver's host, any port
)

// fakeMedia keeps packets and fails as scripted, one error a write.
type fakeMedia struct {
	packets []rtp.Packet
	errs    []error
	closed  atomic.Bool
	renewed int
	mtu     int
}

func (f *fakeMedia) Renew() error { f.renewed++; return nil }
func (f *fakeMedia) MTU() int     { return f.mtu }

func (f *fakeMedia) Write(b []byte) (int, error) {
	if f.closed.Load() {
		return 0, net.ErrClosed
	}
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		if err != nil {
			return 0, err
		}
	}
	var p rtp.Packet
	if err := p.Unmarshal(bytes.Clone(b)); err != nil {
		return 0, err
	}
	f.packets = append(f.packets, p)
	return len(b), nil
}

func (f *fakeMedia) Close() error { f.closed.Store(true); return nil }

type datagram struct {
	from netip.AddrPort
	b    []byte
}

// A sentReport is an RTCP packet and when it left.
type sentReport struct {
	at    time.Duration
	parts []rtcp.Packet
}

type fakeReports struct {
	t       testing.TB
	now     func() time.Duration
	mu      sync.Mutex
	sent    []sentReport
	err     error
	open    func([]byte) []byte // decrypts; nil: in the clear
	in      chan datagram
	failure chan error // of Receive
	closed  chan struct{}
}

func (f *fakeReports) Send(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if f.open != nil {
		b = f.open(b)
	}
	parts, err := rtcp.Unmarshal(bytes.Clone(b))
	if err != nil {
		f.t.Errorf("sent RTCP that pion cannot read: % x: %v", b, err)
	}
	f.sent = append(f.sent, sentReport{at: f.now(), parts: parts})
	return nil
}

func (f *fakeReports) Receive(b []byte, wait time.Duration) (int, netip.AddrPort, error) {
	select {
	case <-f.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	case err := <-f.failure:
		return 0, netip.AddrPort{}, err
	case d := <-f.in:
		return copy(b, d.b), d.from, nil
	case <-time.After(wait):
		return 0, netip.AddrPort{}, os.ErrDeadlineExceeded
	}
}

func (f *fakeReports) LocalPort() int { return 5007 }
func (f *fakeReports) Close() error   { close(f.closed); return nil }

// A rig is a Sender between fakes. Use it in a synctest bubble, or without its goroutine.
type rig struct {
	*Sender
	media   *fakeMedia
	reports *fakeReports
	wall    atomic.Int64 // time.Duration: how far the wall clock is off
	start   time.Time
}

func newRig(t testing.TB) *rig { return newRigWith(t, Config{}) }

// newRigWith changes the rig's configuration by what cfg sets. Packets are large, so that frames have
// few.
func newRigWith(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{start: time.Now()}
	cfg.RTP, cfg.RTCP, cfg.CNAME = testRTP, testRTCP, "cam@test"
	if cfg.MTU == 0 {
		cfg.MTU = pathsize.Largest
	}
	cfg.Monotonic = func() time.Duration { return time.Hour + time.Since(r.start) }
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(r.wall.Load())) }
	if cfg.First == nil {
		cfg.First = &First{SSRC: testSSRC, Sequence: 65534, Timestamp: 0xfffff000, PictureID: 0x7fff}
	}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	r.media = &fakeMedia{}
	r.reports = &fakeReports{t: t, now: cfg.Monotonic, in: make(chan datagram),
		failure: make(chan error), closed: make(chan struct{})}
	r.Sender = newSender(cfg, r.media, r.reports)
	return r
}

// newBenchRig is a rig whose packets go nowhere.
func newBenchRig(t testing.TB) *rig {
	r := newRigWith(t, Config{Ceiling: NewCeiling(1e9)})
	r.Sender.wire.conn = discard{}
	return r
}

// middle is the 32 bits of NTP time by which a reception report names an SR.
func middle(ntp uint64) uint32 { return uint32(ntp >> 16) }

// frame sends one frame of n bytes, captured now.
func (r *rig) frame(t *testing.T, key bool, n int) {
	t.Helper()
	if err := r.Send(make([]byte, n), key, r.cfg.Monotonic()); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

// kept is the packet with a sequence number, as it is to leave again.
func (r *rig) kept(t *testing.T, sequence uint16) resend.Packet {
	t.Helper()
	var requests resend.Requests
	requests.Add(sequence)
	r.resender.TakeRequests(&requests, 0)
	p, ok := r.resender.NextAnswer(r.cfg.Monotonic(), packet.MaxSize)
	if !ok {
		t.Fatalf("packet %d does not leave again: %+v", sequence, r.resender.TakeCounts())
	}
	return p
}

// left is how many packets left so far.
func (r *rig) left() int {
	r.sending.Lock()
	defer r.sending.Unlock()
	return len(r.media.packets)
}

// feed lets the sender's goroutine read parts as one packet of the receiver.
func (r *rig) feed(t *testing.T, parts ...rtcp.Packet) {
	t.Helper()
	b, err := rtcp.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	r.reports.in <- datagram{peer, b}
}

func (r *rig) lastSR(t *testing.T) *rtcp.SenderReport {
	t.Helper()
	sr, ok := r.reports.sent[len(r.reports.sent)-1].parts[0].(*rtcp.SenderReport)
	if !ok {
		t.Fatalf("the latest report starts with %T, want an SR", r.reports.sent[len(r.reports.sent)-1].parts[0])
	}
	return sr
}

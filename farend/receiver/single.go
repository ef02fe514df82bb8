// One stream at a time on two sockets, for camctl receive and for tests that grant by themselves: a
// Server with a single place, whose stream is recorded as IVF.

package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/ivf"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// ErrActive is for a second stream at a time.
var ErrActive = errors.New("another stream is active")

// A Receiver takes one stream at a time.
type Receiver struct {
	*Server

	mu    sync.Mutex
	grant int    // counted from 1
	id    string // of the stream that runs or ran last
}

// Stats are those of the stream that runs or ran last.
type Stats struct {
	stream.Stats
	Grant   uint64 // counted from 1; a new one begins all counts but Unasked at 0
	Source  netip.AddrPort
	Unasked uint64
	Record  string // file, while it is written
}

// New is for sockets that are open: it does not fail with them.
func New(c Config) *Receiver {
	c.CamerasMax = 1
	if c.IVFDir != "" {
		c.Sinks = func(stream.Grant) []stream.Sink { return []stream.Sink{newIVFSink(c)} }
	}
	s, err := Listen(c)
	if err != nil {
		panic(fmt.Sprintf("receiver: without sockets: %v", err))
	}
	return &Receiver{Server: s}
}

// TransportID is the header extension in which a sender may number its packets.
func (r *Receiver) TransportID() uint8 { return transportID }

// Begin opens the receiver for a stream.
func (r *Receiver) Begin(k *wire.SRTP, ssrc uint32, asker netip.Addr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := strconv.Itoa(r.grant + 1)
	_, err := r.Server.Begin(context.Background(), stream.Grant{ID: id, SRTP: k, SSRC: ssrc, Asker: asker})
	if errors.Is(err, stream.ErrFull) {
		return ErrActive
	}
	if err == nil {
		r.grant++
		r.id = id
	}
	return err
}

// End says BYE to the sender.
func (r *Receiver) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.Server.End(context.Background(), r.id, "the grant ends") // or it has ended
}

// Captured says what arrives.
func (r *Receiver) Captured(asker netip.Addr) (code int, words string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.Server.Captured(context.Background(), r.id, asker)
	return v.Code, v.Words, err
}

// Stats may be called at any time, also after End.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t Stats
	t.Stats, _ = r.Server.Stats(r.id)
	t.Grant, t.Source, t.Unasked = uint64(r.grant), t.Address, r.Totals().Unasked
	if len(t.Records) > 0 {
		t.Record = t.Records[0]
	}
	n, _ := r.Load()
	switch {
	case n == 0:
		t.State = "idle"
	case t.State == stream.StateWaiting:
		t.State = "nobody"
	case t.State == stream.StateNoKeyFrame:
		t.State = "waiting for a key frame"
	}
	return t
}

// An ivfSink records what comes of each source in a file.
type ivfSink struct {
	dir  string
	now  func() time.Time
	fail func(err error)

	mu      sync.Mutex // Report is called by others
	file    *ivf.Writer
	problem error
	last    uint32 // RTP timestamp of the last frame
	ticks   uint64 // of the last frame since the first, 1/90000 s
}

func newIVFSink(c Config) *ivfSink {
	v := &ivfSink{dir: c.IVFDir, now: c.Now, fail: func(error) {}}
	if v.now == nil {
		v.now = time.Now
	}
	if c.Log != nil {
		v.fail = func(err error) { c.Log.Error("receiver: the stream is not recorded any more", "error", err) }
	}
	return v
}

func (v *ivfSink) TakePacket([]byte, time.Time) {}

// TakeFrame writes frames from the first key frame on.
func (v *ivfSink) TakeFrame(f stream.Frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f.Damaged || v.problem != nil {
		return
	}
	if v.problem = v.write(f); v.problem != nil {
		v.fail(v.problem)
	}
}

func (v *ivfSink) write(f stream.Frame) (err error) {
	if v.file == nil { // f is a key frame: all before it are damaged
		name := v.now().UTC().Format("20060102-150405.000") + ".ivf"
		timebase := ivf.Timebase{Num: 1, Den: clockRate}
		if v.file, err = ivf.Create(filepath.Join(v.dir, name), f.Width, f.Height, timebase); err != nil {
			return fmt.Errorf("record: %w", err)
		}
		v.last, v.ticks = f.Timestamp, 0
	}
	v.ticks += uint64(max(0, int32(f.Timestamp-v.last))) // a sender that starts over must not turn time back
	v.last = f.Timestamp
	if err := v.file.WriteFrame(f.Bytes, v.ticks); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// Restart begins another file with the next key frame.
func (v *ivfSink) Restart() { v.Close() }

// Close ends the file.
func (v *ivfSink) Close() {
	v.mu.Lock()
	file := v.file
	v.file = nil
	v.mu.Unlock()
	if file == nil {
		return
	}
	if err := file.Close(); err != nil {
		v.fail(err)
	}
}

// Report implements stream.Reporter.
func (v *ivfSink) Report() (record, problem string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.file != nil {
		record = v.file.Name()
	}
	if v.problem != nil {
		problem = "the stream is not recorded: " + v.problem.Error()
	}
	return record, problem
}

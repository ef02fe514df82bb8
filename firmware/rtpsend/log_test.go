package rtpsend

import (
	"context"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

// A lockWatch is a log that looks at the Sender's locks with each line.
type lockWatch struct {
	slog.Handler
	t     *testing.T
	rig   *rig
	lines map[string]int
}

func (w *lockWatch) Handle(_ context.Context, r slog.Record) error {
	w.lines[r.Message]++
	for name, lock := range map[string]*sync.Mutex{
		"sending": &w.rig.sending, "reporting": &w.rig.reporting, "mu": &w.rig.mu,
	} {
		if !lock.TryLock() {
			w.t.Errorf("%q is logged while %s is held", r.Message, name)
			continue
		}
		lock.Unlock()
	}
	return nil
}

func (w *lockWatch) Enabled(context.Context, slog.Level) bool { return true }

func TestNothingIsLoggedUnderALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.Close()
		watch := &lockWatch{t: t, rig: r, lines: map[string]int{}}
		r.cfg.Log = slog.New(watch)
		send := func(seconds int) { // a packet each: none is left to runPump, which has the lock then
			for range 10 * seconds {
				r.frame(t, false, 1000)
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
		}
		send(1)
		r.media.mtu, r.media.errs = 1000, []error{syscall.ENETUNREACH}
		send(7) // an outage, a new MTU, the end of the outage
		for range 5 {
			r.feed(t, reception(rtcp.ReceptionReport{SSRC: testSSRC, LastSequenceNumber: 65534, FractionLost: 255}))
			synctest.Wait() // or the next frame has a lock while this one is logged
			send(1)
		}
		send(11) // nothing arrives, and a pause of 10 s later
		for _, want := range []string{
			"packets do not leave", "packets fit the path", "packets leave again",
			"the stream pauses", "the stream goes on",
		} {
			if watch.lines[want] == 0 {
				t.Errorf("no line %q: %v", want, watch.lines)
			}
		}
	})
}

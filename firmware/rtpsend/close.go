// The end of a stream: what waits, BYE, silence.

package rtpsend

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// lastRoom is how long the packets that wait may take at the end, on a link that has
// stalled: longer than an interval of them, shorter than anybody waits for us.
const lastRoom = 50 * time.Millisecond

// Close sends what waits, says BYE if a frame was sent, frees both sockets and waits
// for the goroutines. It interrupts Send. A second Close does nothing.
func (s *Sender) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	closeMedia := sync.OnceValue(s.media.Close)
	late := time.AfterFunc(lastRoom, func() { _ = closeMedia() }) // or a Send that waits for room would hold the lock
	s.sending.Lock()
	err := s.end()
	late.Stop()
	err = errors.Join(err, closeMedia(), s.reports.Close())
	if s.echo != nil {
		err = errors.Join(err, s.echo.Close())
	}
	s.sending.Unlock()
	s.running.Wait()
	if err != nil {
		return fmt.Errorf("rtpsend: close: %w", err)
	}
	return nil
}

// end sends what is left to say. sending is held.
func (s *Sender) end() error {
	sent := tally{at: s.cfg.Monotonic()}
	var err error
	for s.history.Waiting() > 0 && err == nil {
		err = s.sendNext(&sent)
	}
	s.account(s.cfg.Monotonic(), &sent)
	s.mu.Lock()
	started := s.session.IsStarted()
	s.mu.Unlock()
	if started { // who never sent anything must not say BYE (RFC 3550 section 6.3.7)
		s.sayBye()
	}
	close(s.done)
	if errors.Is(err, ErrClosed) { // the link has stalled, and we were not to wait
		return nil
	}
	return err
}

// The goroutine that sends what cannot leave within Send: the rest of a large frame, and
// packets that the receiver asks for again.

package rtpsend

import "time"

// wakeUp makes pump look; it never blocks.
func (s *Sender) wakeUp() {
	select {
	case s.awake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// pump runs until Close.
func (s *Sender) pump() {
	defer s.running.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-s.awake:
		case <-timer.C:
		}
		wait, err := s.turn()
		if err != nil { // closed
			return
		}
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

// turn sends what may leave now; its only error is ErrClosed.
func (s *Sender) turn() (wait time.Duration, err error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	now := s.cfg.Monotonic()
	sent := tally{at: now}
	var repeat time.Duration
	if err = s.resend(now, &sent); err == nil {
		wait, err = s.flush(now, &sent)
	}
	if err == nil {
		repeat, err = s.repeat(now, &sent)
	}
	if repeat > 0 && (wait == 0 || repeat < wait) {
		wait = repeat
	}
	s.account(now, &sent)
	return wait, err
}

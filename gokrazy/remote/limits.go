// How long the sending of a bundle may stand still. It has no limit as a whole: a board takes bytes as
// slowly as its stream wants it.

package remote

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	errStalled  = errors.New("the board takes no more bytes: it was switched off, or the connection is broken")
	errNoAnswer = errors.New("the board was sent all that it lacked, and does not answer; it may go on by itself")
)

// limits break a request off: without them, one to a board that lost its power would last until TCP
// gives up, a quarter of an hour on Linux, and one to a program that hangs for ever.
type limits struct {
	stall, writing time.Duration
	cancel         context.CancelCauseFunc
	timer          *time.Timer // belongs to whoever writes, after newLimits
}

// newLimits gives a context for the request. The caller ends the limits when nobody writes any more.
func (c *Client) newLimits(ctx context.Context) (context.Context, *limits) {
	l := &limits{stall: orDefault(c.Stall, defaultStall), writing: orDefault(c.Writing, defaultWriting)}
	ctx, l.cancel = context.WithCancelCause(ctx)
	l.timer = time.AfterFunc(l.stall, func() { l.cancel(errStalled) })
	return ctx, l
}

// noteSent begins the wait for the answer.
func (l *limits) noteSent() {
	l.timer.Stop()
	l.timer = time.AfterFunc(l.writing, func() { l.cancel(errNoAnswer) })
}

// limitOver says which limit ended a request's context; nil: none did.
func limitOver(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) || errors.Is(cause, errNoAnswer) {
		return cause
	}
	return nil
}

func (l *limits) end() {
	l.timer.Stop()
	l.cancel(nil)
}

// A limitedWriter begins the limit anew with every write that was taken.
type limitedWriter struct {
	w io.Writer
	l *limits
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	w.l.timer.Reset(w.l.stall)
	return n, err
}

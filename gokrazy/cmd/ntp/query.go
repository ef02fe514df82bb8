// One question to one NTP server, and whether its answer may be believed. Besides its constants
// and errors, github.com/beevik/ntp is used only here.

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/beevik/ntp"
)

const (
	// askTimeout is the timeout of name resolution, and that of the answer.
	askTimeout = 2 * time.Second

	// maxRootDistance is how wrong a server may be by its own account, our way to it included.
	// chrony's is the same; RFC 5905's MAXDIST of 1 s is too little for a mobile network.
	maxRootDistance = 3 * time.Second

	// believableYears is how many years after the build of this program a server is believed.
	// A GPS receiver that lost count of its weeks is 1024 of them off: 19.6 years.
	believableYears = 19
)

// Why an answer is refused, beside the errors of github.com/beevik/ntp.
var (
	errNoTime            = errors.New("it is not synchronised")
	errNeverSynchronised = errors.New("it was never synchronised: its reference time is 0")
	errRootDistance      = errors.New("its time is too uncertain")
	errDelay             = errors.New("its time stamps contradict the time that the answer took")
	errTooLate           = errors.New("time is beyond belief")
)

// A kissError is a server's wish to be asked less (RATE) or not at all (DENY, RSTR; RFC 5905
// section 7.4).
type kissError struct{ code string }

func (e *kissError) Error() string {
	if e.code == "RATE" {
		return "it asks for fewer questions (RATE)"
	}
	return fmt.Sprintf("it does not serve us (%s)", e.code)
}

// Unwrap makes it the library's error.
func (e *kissError) Unwrap() error { return ntp.ErrKissOfDeath }

// An asker asks servers.
type asker struct {
	floor time.Time // no time before it is believed; Unix 0: unknown
}

// ask returns the time of server (a name or address, with or without a port) if the answer
// may be believed. It blocks for 2 askTimeout at most.
func (a asker) ask(ctx context.Context, server string) (sample, error) {
	dialer := net.Dialer{Timeout: askTimeout}
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{
		Timeout: askTimeout,
		Dialer: func(_, remote string) (net.Conn, error) {
			return dialer.DialContext(ctx, "udp", remote)
		},
	})
	if err != nil {
		return sample{}, fmt.Errorf("ask %s: %w", server, err)
	}
	if err := judgeAnswer(r, a.floor); err != nil {
		return sample{}, fmt.Errorf("answer of %s: %w", server, err)
	}
	return sample{server: server, offset: r.ClockOffset, distance: r.RootDistance, leap: r.Leap}, nil
}

// The times that the library makes of a time stamp of 0.
var (
	era0 = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	era1 = time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
)

// judgeAnswer says why an answer must not be believed (RFC 5905 appendix A.5.1.1, accept and fit):
// a server that says of itself that it has no time, or not a good one, and one whose numbers cannot
// be true.
func judgeAnswer(r *ntp.Response, floor time.Time) error {
	switch {
	case r.Stratum == 0 && (r.KissCode == "RATE" || r.KissCode == "DENY" || r.KissCode == "RSTR"):
		return &kissError{r.KissCode}
	case r.Stratum == 0: // a real chrony without time says so, with no code; ntpd says INIT or STEP
		return fmt.Errorf("%w (stratum 0, code %q, leap indicator %d)", errNoTime, r.KissCode, r.Leap)
	case r.Stratum >= 16:
		return fmt.Errorf("it is not synchronised (stratum %d): %w", r.Stratum, ntp.ErrInvalidStratum)
	case r.Leap == ntp.LeapNotInSync:
		return fmt.Errorf("it is not synchronised (leap indicator 3): %w", ntp.ErrInvalidLeapSecond)
	case r.ReferenceTime.Equal(era0) || r.ReferenceTime.Equal(era1):
		return errNeverSynchronised
	case r.RootDistance < 0 || r.RootDelay < 0 || r.RootDispersion < 0 || r.RootDistance > maxRootDistance:
		return fmt.Errorf("%w: within %v by its own account, want %v", errRootDistance, r.RootDistance, maxRootDistance)
	}
	if err := checkDelay(r.Timestamps); err != nil {
		return err
	}
	if err := checkBelievable(r.Time, floor); err != nil {
		return err
	}
	return r.Validate()
}

// checkDelay compares the time between a server's two time stamps with the time that we waited.
func checkDelay(t ntp.ProtocolTimestamps) error {
	took, held := t.ClientRecv.Sub(t.ClientXmit), t.ServerXmit.Sub(t.ServerRecv)
	const slack = 10 * time.Millisecond // of two clocks, and of ours, which may be steered meanwhile
	if held < -slack || held > took+slack || took > 2*askTimeout {
		return fmt.Errorf("%w: it says that it held the question for %v of %v", errDelay, held, took)
	}
	return nil
}

// checkBelievable refuses a time before the floor, and one so long after it that a broken receiver
// is likelier than a board that was not updated.
func checkBelievable(t, floor time.Time) error {
	if t.Before(floor) {
		return fmt.Errorf("%w: %v, floor %v", errBeforeFloor, t.UTC(), floor.UTC())
	}
	if latest := floor.AddDate(believableYears, 0, 0); floor.Unix() > 0 && t.After(latest) {
		return fmt.Errorf("%w: %v, this program was built %v", errTooLate, t.UTC(), floor.UTC())
	}
	return nil
}

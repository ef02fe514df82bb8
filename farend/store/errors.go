// What can go wrong, in words that callers branch on.

package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// Errors, for errors.Is.
var (
	ErrUnknown     = errors.New("unknown")
	ErrExists      = errors.New("there is one already")
	ErrActive      = errors.New("a stream of this source is active")
	ErrCamerasMax  = errors.New("all cameras that this key allows are active")
	ErrFull        = errors.New("all places are in use")
	ErrUnavailable = errors.New("the database is not available")
	ErrSchema      = errors.New("the database was made by a later version")
	ErrCustomer    = errors.New("no customer can have this")
)

// A Class is what a driver's error means.
type Class int

// The classes.
const (
	Other       Class = iota // a defect of ours, or none
	Duplicate                // a unique index has it already
	Dangling                 // what it refers to is not there
	Conflict                 // another transaction got in the way: try again
	Lost                     // the connection broke: another one may work at once
	Unavailable              // gone, full, broken, too slow
)

// failure gives an error its words. parent is the context without our own limit of time.
func (s *Store) failure(parent context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case parent.Err() != nil && !errors.Is(parent.Err(), context.DeadlineExceeded):
		return fmt.Errorf("store: %s: %w", what, parent.Err()) // the caller gave up
	case isOurs(err):
		return fmt.Errorf("store: %s: %w", what, err)
	}
	switch s.engine.Classify(err) {
	case Duplicate:
		return fmt.Errorf("store: %s: %w", what, ErrExists)
	case Dangling:
		return fmt.Errorf("store: %s: %w", what, ErrUnknown)
	case Unavailable, Conflict, Lost:
		return s.unavailable(what, err)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return s.unavailable(what, fmt.Errorf("no answer within %v: %w", s.engine.Timeout, err))
	}
	return fmt.Errorf("store: %s: %s: %w", what, s.engine.Name, err)
}

func (s *Store) unavailable(what string, err error) error {
	return fmt.Errorf("store: %s: %w: %s: %w", what, ErrUnavailable, s.engine.Name, err)
}

func isOurs(err error) bool {
	if errors.As(err, new(refusal)) {
		return true
	}
	for _, one := range []error{ErrUnknown, ErrExists, ErrActive, ErrCamerasMax, ErrFull, ErrSchema, ErrCustomer} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// Failures are how often the database did not do what it was asked for, by operation, since the Store was
// made: a full disk, a connection that broke, a defect of ours. What it rightly refused is none.
func (s *Store) Failures() map[string]uint64 {
	s.failuresMu.Lock()
	defer s.failuresMu.Unlock()
	return maps.Clone(s.failures)
}

func (s *Store) countFailure(what string, err error) {
	if err == nil || !errors.Is(err, ErrUnavailable) && (isOurs(err) || errors.Is(err, context.Canceled)) {
		return
	}
	operation, _, _ := strings.Cut(what, ": ")
	s.failuresMu.Lock()
	defer s.failuresMu.Unlock()
	s.failures[operation]++
}

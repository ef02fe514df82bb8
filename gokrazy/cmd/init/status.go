// The status of the board, for camweb and camctl.

package main

import (
	"reflect"
	"strings"

	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/perm"
	"github.com/krazycam/krazycam/gokrazy/trial"
)

// rung is what the running version has reached.
func (s *supervisor) rung() health.Rung {
	if !s.source.isAlive(s.now()) {
		return health.None
	}
	return s.source.report.Rung
}

// report writes the status if it has changed. An outage is logged when it begins.
func (s *supervisor) report(o trial.Observation) {
	now := s.compose(o)
	now.UptimeS = s.status.UptimeS
	if reflect.DeepEqual(now, s.status) {
		return
	}
	now.UptimeS = o.Up.Seconds()
	err := s.writeStatus(now)
	if err != nil && !s.silent {
		s.log.Error("status", "error", err)
	}
	if s.silent = err != nil; !s.silent {
		s.status = now
	}
}

// compose makes the status of this moment.
func (s *supervisor) compose(o trial.Observation) control.Status {
	c := s.facts
	c.Slot, c.Promoted, c.OnTrial = string(s.place.running), string(s.place.promoted), s.place.onTrial()
	if m := s.slots[s.place.running]; m != nil {
		c.Version, c.Index = m.Version, m.Index
	}
	c.Updatable, c.Busy, c.Failed = s.updatable(), s.busy, s.kept.Failed
	switch {
	case s.trouble == "", strings.HasPrefix(c.Perm, s.trouble): // as the start has said
	case c.Perm == perm.OK:
		c.Perm = s.trouble
	default:
		c.Perm += "; " + s.trouble
	}
	c.Rung, c.LeftBehind = string(s.rung()), s.owner.LeftBehind()
	if r := s.kept.Record; r != nil {
		c.Trial = &control.Trial{
			Slot: r.Slot, Version: r.Version, Index: r.Index, State: r.State, Tries: r.Tries, Reason: r.Reason,
			RungBefore: string(r.RungBefore), Rung: string(r.Rung), NeedS: float64(r.NeedS),
		}
		if s.watch != nil && (s.step == trial.Prove || s.step == trial.Judge) {
			c.Trial.Rung, c.Trial.HeldS = c.Rung, float64(int(s.watch.HeldFor().Seconds()))
		}
	}
	return c
}

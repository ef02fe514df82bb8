// One round of questions: all servers that somebody named at once, and the public pool if none of
// them can be believed, or if they disagree and there is no majority.

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

// How long a server is left alone that asked for it.
const (
	rateHoldoff = 15 * time.Minute // RATE
	denyHoldoff = 24 * time.Hour   // DENY, RSTR
)

// answers is what a group of servers said, in the order of the servers.
type answers struct {
	samples []sample
	failed  error
}

// askAll asks servers at once and waits for all of them. It leaves out those that asked to be left
// alone.
func (c *client) askAll(ctx context.Context, servers []string) answers {
	type answer struct {
		sample sample
		err    error
	}
	all := make([]answer, len(servers))
	var waiting sync.WaitGroup
	for i, server := range servers {
		if left := c.holdoff[server].Sub(c.now()); left > 0 {
			all[i].err = fmt.Errorf("%s asked to be left alone, for %v more", server, left.Round(time.Second))
			continue
		}
		waiting.Go(func() { all[i].sample, all[i].err = c.ask(ctx, server) })
	}
	waiting.Wait()
	var got answers
	for i, a := range all {
		if a.err == nil {
			got.samples = append(got.samples, a.sample)
			continue
		}
		c.keepAway(servers[i], a.err)
		got.failed = errors.Join(got.failed, a.err)
	}
	return got
}

// keepAway notes that a server asked to be left alone.
func (c *client) keepAway(server string, err error) {
	var kiss *kissError
	if !errors.As(err, &kiss) {
		return
	}
	if c.holdoff == nil {
		c.holdoff = map[string]time.Time{}
	}
	switch kiss.code {
	case "RATE":
		c.holdoff[server] = c.now().Add(rateHoldoff)
	case "DENY", "RSTR":
		c.holdoff[server] = c.now().Add(denyHoldoff)
	}
}

// askRound asks the named servers, and the pool where they do not suffice. named says whether one
// of the named ones gave an answer that may be believed.
func (c *client) askRound(ctx context.Context) (got answers, named bool) {
	got = c.askAll(ctx, c.servers)
	named = len(got.samples) > 0
	if named && (len(got.samples) == 1 || findMajority(got.samples).majority) {
		return got, named
	}
	pool := slices.DeleteFunc(poolServers(), func(s string) bool { return slices.Contains(c.servers, s) })
	if len(pool) == 0 { // the pool is all that there was
		return got, named
	}
	more := c.askAll(ctx, pool)
	got.samples = append(got.samples, more.samples...)
	got.failed = errors.Join(got.failed, more.failed)
	return got, named
}

// setFromAnswers sets the clock by the answer that is right, and returns its server. If the clock
// refuses that, the next one of those that agree with it is tried.
func (c *client) setFromAnswers(all []sample, poll time.Duration) (server string, err error) {
	for _, s := range c.chooseSamples(all) {
		failed := c.clock.setClock(s, poll)
		if failed == nil {
			c.wasSet = true
			return s.server, nil
		}
		err = errors.Join(err, failed)
	}
	return "", err
}

// chooseSamples returns the answers to set the clock by, the best first, and logs what is wrong
// with the others. Without a majority one is taken: that nearest to a clock that was set before,
// since a server that goes wrong leaves it, else the one that was named first. A board without any
// time could not even open https.
func (c *client) chooseSamples(all []sample) []sample {
	if len(all) == 0 {
		return nil
	}
	v := findMajority(all)
	if v.majority {
		c.logWrong(v)
		return v.right
	}
	taken, because := v.right[0], "there is no majority, and it was named first"
	switch {
	case c.wasSet:
		taken = nearestToClock(all)
		because = "there is no majority, and it is nearest to the clock as it was set before"
	case len(v.right) > 1:
		because = fmt.Sprintf("there is no majority, and it agrees with %d others", len(v.right)-1)
	}
	c.logDisagreement(all, taken, because)
	return []sample{taken}
}

// logWrong names the servers that the majority contradicts, once until that changes.
func (c *client) logWrong(v verdict) {
	if key := serverNames(v.wrong); key == c.disagreement {
		return
	} else if c.disagreement = key; key == "" {
		c.log.Info("time servers agree", "servers", serverNames(v.right))
		return
	}
	because := fmt.Sprintf("%d of %d servers agree with each other and not with it",
		len(v.right), len(v.right)+len(v.wrong))
	for _, s := range v.wrong {
		off := (s.offset - v.right[0].offset).Round(time.Millisecond)
		c.log.Warn("time server is wrong",
			"server", s.server, "off", off, "because", because, "majority", serverNames(v.right))
	}
}

// logDisagreement says which of several servers is taken, once until that changes.
func (c *client) logDisagreement(all []sample, taken sample, because string) {
	key := serverNames(all) + " " + taken.server
	if key == c.disagreement {
		return
	}
	c.disagreement = key
	var offsets []string
	for _, s := range all {
		offsets = append(offsets, fmt.Sprintf("%s %+.3fs", s.server, s.offset.Seconds()))
	}
	c.log.Warn("time servers disagree", "offsets", offsets, "taken", taken.server, "because", because)
}

func serverNames(all []sample) string {
	var names []string
	for _, s := range all {
		names = append(names, s.server)
	}
	return strings.Join(names, " ")
}

// refused says whether a server asked for fewer questions.
func refused(err error) bool { return errors.Is(err, ntp.ErrKissOfDeath) }

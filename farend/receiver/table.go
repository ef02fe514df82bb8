// Whose packet it is, where many streams share a port: by the SSRC that the source announced, else by
// the address from which it asked, else by where its packets came from until now. The session's latch
// judges then. No socket.

package receiver

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/krazycam/krazycam/farend/stream"
)

// An entry is a session of the table.
type entry struct {
	*session
	id        string
	announced uint32         // 0: none
	asker     netip.Addr     // not valid: any address may be the source's
	held      netip.AddrPort // from where its packets came last
	heldSSRC  uint32         // with this one
}

// A table finds sessions. mu is held for reading for each packet, and never together with a session's.
type table struct {
	mu          sync.RWMutex
	byID        map[string]*entry
	entries     []*entry            // all, in the order in which they began
	bySSRC      map[uint32][]*entry // that announced one
	byAsker     map[netip.Addr]*entry
	unannounced []*entry
	byHeld      map[netip.AddrPort][]*entry // by where their packets came from last
	only        *entry                      // the one that there is; nil: none, or several
}

func newTable() *table {
	return &table{
		byID: map[string]*entry{}, bySSRC: map[uint32][]*entry{}, byAsker: map[netip.Addr]*entry{},
		byHeld: map[netip.AddrPort][]*entry{},
	}
}

// add takes a session, or says that its packets could not be told from those of another: shared says
// that the table is for one port.
func (t *table) add(id string, s *session, shared bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &entry{session: s, id: id, announced: s.grant.SSRC, asker: s.latch.asker}
	if t.byID[id] != nil {
		return fmt.Errorf("receiver: stream %q runs already", id)
	}
	if err := t.checkDistinct(e); shared && err != nil {
		return err
	}
	t.byID[id] = e
	t.entries = append(t.entries, e)
	if e.announced != 0 {
		t.bySSRC[e.announced] = append(t.bySSRC[e.announced], e)
	} else {
		t.unannounced = append(t.unannounced, e)
		if e.asker.IsValid() && t.byAsker[e.asker] == nil {
			t.byAsker[e.asker] = e
		}
	}
	t.setOnly()
	return nil
}

// checkDistinct says whether packets of a new session can be told from all others'.
func (t *table) checkDistinct(e *entry) error {
	if e.announced != 0 {
		for _, other := range t.bySSRC[e.announced] {
			if !e.asker.IsValid() || !other.asker.IsValid() || e.asker == other.asker {
				return fmt.Errorf("receiver: another stream announced the SSRC %d: %w",
					e.announced, stream.ErrAmbiguous)
			}
		}
		return nil
	}
	for _, other := range t.unannounced {
		if e.asker == other.asker {
			return fmt.Errorf("receiver: %v: %w", e.asker, stream.ErrAmbiguous)
		}
	}
	return nil
}

// remove forgets a session.
func (t *table) remove(id string) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byID[id]
	if e == nil {
		return nil
	}
	delete(t.byID, id)
	t.entries = slices.DeleteFunc(t.entries, func(o *entry) bool { return o == e })
	removeFrom(t.bySSRC, e.announced, e)
	removeFrom(t.byHeld, e.held, e)
	t.unannounced = slices.DeleteFunc(t.unannounced, func(o *entry) bool { return o == e })
	if t.byAsker[e.asker] == e {
		delete(t.byAsker, e.asker)
	}
	t.setOnly()
	return e
}

func removeFrom[K comparable](m map[K][]*entry, key K, e *entry) {
	left := slices.DeleteFunc(m[key], func(o *entry) bool { return o == e })
	if len(left) == 0 {
		delete(m, key)
		return
	}
	m[key] = left
}

func (t *table) setOnly() {
	t.only = nil
	if len(t.entries) == 1 {
		t.only = t.entries[0]
	}
}

// find gives a session by the stream's ID, nil if there is none.
func (t *table) find(id string) *entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byID[id]
}

// all appends every session.
func (t *table) all(to []*entry) []*entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return append(to, t.entries...)
}

func (t *table) size() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byID)
}

// noteAsker notes from where a source asks now.
func (t *table) noteAsker(e *entry, asker netip.Addr) {
	asker = plain(asker)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !e.asker.IsValid() || !asker.IsValid() || e.asker == asker || t.byID[e.id] != e {
		return
	}
	if t.byAsker[e.asker] == e {
		delete(t.byAsker, e.asker)
	}
	e.asker = asker
	if e.announced == 0 && t.byAsker[asker] == nil {
		t.byAsker[asker] = e
	}
}

// noteHeld notes where the packets of a session come from, and with which SSRC.
func (t *table) noteHeld(e *entry, from netip.AddrPort, ssrc uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[e.id] != e {
		return
	}
	e.heldSSRC = ssrc
	if e.held == from {
		return
	}
	removeFrom(t.byHeld, e.held, e)
	e.held = from
	t.byHeld[from] = append(t.byHeld[from], e)
}

// route gives the session that a packet may belong to; nil: none. With one session it is that one, so
// that it can say who else sends.
func (t *table) route(ssrc uint32, from netip.AddrPort) *entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.only != nil {
		return t.only
	}
	if same := t.bySSRC[ssrc]; len(same) > 0 {
		return closest(same, from)
	}
	if held := t.byHeld[from]; len(held) == 1 && held[0].announced == 0 {
		return held[0]
	}
	return t.routeUnannounced(ssrc, from)
}

// closest chooses among sessions that announced one SSRC.
func closest(same []*entry, from netip.AddrPort) *entry {
	for _, e := range same {
		if e.asker == from.Addr() {
			return e
		}
	}
	for _, e := range same {
		if e.held.Addr() == from.Addr() {
			return e
		}
	}
	return same[0]
}

// routeUnannounced finds the session of a source that announced no SSRC: by SSRC and address of its last
// packets, as for its RTCP or behind a NAT that chose another port; by the address that asked; if it may
// have an address of the other family, as the one that nobody sends yet; at last by the address alone.
func (t *table) routeUnannounced(ssrc uint32, from netip.AddrPort) *entry {
	var known, neighbour, waiting single
	for _, e := range t.unannounced {
		if e.held.IsValid() && e.held.Addr() == from.Addr() {
			neighbour.add(e)
			if e.heldSSRC == ssrc {
				known.add(e)
			}
		}
		switch {
		case !e.asker.IsValid(), isThisMachine(e.asker) && isThisMachine(from.Addr()):
			waiting.add(e)
		case !e.held.IsValid() && e.asker.Is4() != from.Addr().Is4() && !e.asker.IsLoopback():
			waiting.add(e)
		}
	}
	if e := known.entry(); e != nil {
		return e
	}
	if e := t.byAsker[from.Addr()]; e != nil {
		return e
	}
	if waiting.count > 0 {
		return waiting.entry()
	}
	return neighbour.entry()
}

// A single is an entry, unless there are several that cannot be told apart.
type single struct {
	found *entry
	count int
}

func (s *single) add(e *entry) {
	s.found = e
	s.count++
}

func (s *single) entry() *entry {
	if s.count != 1 {
		return nil
	}
	return s.found
}

// routeResend gives the sessions whose source sends from where a resend came from.
func (t *table) routeResend(from netip.AddrPort, to []*entry) []*entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.only != nil {
		return append(to, t.only)
	}
	return append(to, t.byHeld[from]...)
}

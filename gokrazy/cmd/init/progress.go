// Whether init goes on: the watchdog is fed only while it does. Each duty has a time within which it
// must say that it goes on, or be over.

package main

import (
	"fmt"
	"sync"
	"time"
)

// The duties, and how long each may say nothing.
const (
	dutyBoot     = "the start of the board"
	dutyLoop     = "init's main loop"
	dutyShutdown = "the shutdown"

	bootLimit = 3 * time.Minute // gokrazy.Boot, /perm, modules and the seed take 2 to 10 s
	// loopLimit: a turn of the loop may write to a card that is slow, or busy with a whole slot.
	loopLimit     = 45 * time.Second
	shutdownLimit = 20 * time.Second // the services have 7 s of it, the card the rest
)

// A progress keeps the duties that are on. mu guards them; nothing is called under it.
type progress struct {
	mu     sync.Mutex
	duties map[string]*duty
}

type duty struct{ latest, limit time.Duration }

func newProgress() *progress { return &progress{duties: map[string]*duty{}} }

// begin adds a duty, which must end, or be noted, within limit. Times are since the kernel's start.
func (p *progress) begin(name string, limit, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.duties[name] = &duty{now, limit}
}

// note says that a duty goes on. What is not on stays so.
func (p *progress) note(name string, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.duties[name]; d != nil {
		d.latest = now
	}
}

func (p *progress) end(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.duties, name)
}

// beginShutdown puts the end in the place of all other duties. A second call changes nothing: a
// shutdown that is asked for again and again must not live on that.
func (p *progress) beginShutdown(now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.duties[dutyShutdown] == nil {
		p.duties = map[string]*duty{dutyShutdown: {now, shutdownLimit}}
	}
}

// isEnding says that a shutdown has begun.
func (p *progress) isEnding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.duties[dutyShutdown] != nil
}

// stall names a duty that does not go on; "": all do.
func (p *progress) stall(now time.Duration) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, d := range p.duties {
		if silent := now - d.latest; silent > d.limit {
			return fmt.Sprintf("%s has not gone on for %v", name, silent.Round(time.Second))
		}
	}
	return ""
}

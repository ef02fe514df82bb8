// The port pairs of a rule for plain RTP.

package forward

import "errors"

// errNoPair is what a stream is told for which no pair of the rule is left.
var errNoPair = errors.New("all port pairs of the rule are in use")

// A pool has the pairs of one rule. The Forwarder's lock guards it.
type pool struct {
	host        string
	first, last int
	local       int            // the port here that belongs to first; 0: any
	used        map[int]string // by port: the stream
	known       map[string]int // by source: the port that it had last, for receivers that stay
	freed       chan struct{}  // closed when a pair is given back, and another takes its place
}

// take gives a pair to a stream: the one that its source had before, if that is free.
func (p *pool) take(stream, source string) (port int, err error) {
	if port, ok := p.known[source]; ok && p.used[port] == "" {
		p.used[port] = stream
		return port, nil
	}
	port = p.free(true)
	if port == 0 {
		port = p.free(false)
	}
	if port == 0 {
		return 0, errNoPair
	}
	for other, had := range p.known {
		if had == port {
			delete(p.known, other)
		}
	}
	p.used[port], p.known[source] = stream, port
	return port, nil
}

// free finds a free pair: of those that no source had, or of all. 0: there is none.
func (p *pool) free(fresh bool) int {
	had := map[int]bool{}
	for _, port := range p.known {
		had[port] = true
	}
	for port := p.first; port <= max(p.first, p.last-1); port += 2 {
		if p.used[port] == "" && !(fresh && had[port]) {
			return port
		}
	}
	return 0
}

// put gives a pair back, unless another stream has it by now.
func (p *pool) put(port int, stream string) {
	if p.used[port] == stream {
		delete(p.used, port)
		close(p.freed)
		p.freed = make(chan struct{})
	}
}

// localPort is the port here from which a pair is sent; 0: any.
func (p *pool) localPort(port int) int {
	if p.local == 0 {
		return 0
	}
	return p.local + port - p.first
}

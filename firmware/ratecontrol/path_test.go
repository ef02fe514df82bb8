// A path in memory: a bottleneck with a queue, a receiver, and the stream that the
// controller steers. Replays a minute in a few milliseconds.

package ratecontrol

import (
	"math/rand/v2"
	"testing"
	"time"
)

const (
	ms       = time.Millisecond
	interval = time.Second / 30
	packet   = 1200
	headers  = 40
)

// A packet on its way.
type onWay struct {
	sent, arrives time.Duration
	size          int
	lost          bool
	cum           uint64 // bytes sent up to it
}

// A path is what lies between sender and receiver.
type path struct {
	capacity func(time.Duration) float64 // bit/s
	delay    time.Duration               // each way
	jitter   time.Duration
	queue    time.Duration // longest
	loss     float64

	transport, nack bool
	hasty           float64                           // part of the packets that are asked for and only late
	reports         time.Duration                     // between two; 0: none
	first           time.Duration                     // when the first comes
	echo            bool                              // the receiver's host answers
	aside           bool                              // the bottleneck lets echo requests pass its queue
	back            func(time.Duration) time.Duration // of the way back, at a moment; nil: none beyond delay

	random *rand.Rand
	free   time.Duration // when the bottleneck has sent all that waits
}

// A run is what came of it, one value for each frame interval.
type run struct {
	rate, sent, delay []float64 // bit/s, bit/s, seconds of queue
	held              int
	c                 *Controller
}

func (p *path) send(now time.Duration, size int, cum uint64) onWay {
	start := max(p.free, now)
	o := onWay{sent: now, size: size, cum: cum}
	if start-now > p.queue || p.random.Float64() < p.loss {
		o.lost = true
		return o
	}
	p.free = start + time.Duration(8*float64(size)/p.capacity(start)*float64(time.Second))
	o.arrives = p.free + p.delay + time.Duration(p.random.Float64()*float64(p.jitter))
	return o
}

// play runs a stream of at most most bit/s over the path.
func (p *path) play(t *testing.T, most int, length time.Duration) run {
	t.Helper()
	p.random = rand.New(rand.NewPCG(1, 2))
	c := New(most)
	r := run{c: c}
	var way []onWay
	var cum uint64
	told, reported, asked := 0, 0, 0 // indices into way
	nextFeedback, nextReport := 80*ms, p.first+p.reports/2
	var batchLost int
	var asking []request
	for now := time.Duration(0); now < length; now += ms {
		if now%interval < ms {
			rate, hold := c.Advise(now)
			bits := 0.0
			if !hold {
				size := int(float64(rate) / 8 / 30 * (0.8 + 0.4*p.random.Float64()))
				for size > 0 {
					n := min(size, packet)
					size -= n
					cum += uint64(n + headers)
					way = append(way, p.send(now, n+headers, cum))
					c.NoteSent(now, n+headers, n)
					bits += 8 * float64(n+headers)
				}
			} else {
				r.held++
			}
			r.rate = append(r.rate, float64(rate))
			r.sent = append(r.sent, bits*30)
			r.delay = append(r.delay, max(0, p.free-now).Seconds())
		}
		if p.nack {
			asked = p.ask(c, way, now, asked)
		}
		if p.echo && now%(200*ms) < ms {
			asking = append(asking, p.request(now, cum))
		}
		if p.echo {
			asking = p.answer(c, asking, now, cum)
		}
		if p.transport && now >= nextFeedback {
			nextFeedback += 80 * ms
			told = p.feedback(c, way, now, told)
		}
		if p.reports > 0 && now >= nextReport {
			nextReport += p.reports
			reported, batchLost = p.report(c, way, now, reported, batchLost)
		}
	}
	return r
}

// A request for an echo.
type request struct {
	onWay
	back time.Duration // when the answer comes
}

func (p *path) request(now time.Duration, cum uint64) request {
	o := onWay{sent: now, cum: cum, arrives: now + p.delay}
	if !p.aside {
		o = p.send(now, 60, cum)
	}
	r := request{o, o.arrives + p.delay}
	if p.back != nil {
		r.back += p.back(o.arrives)
	}
	return r
}

// answer hands on the answers that have come and gives those that have not.
func (p *path) answer(c *Controller, asking []request, now time.Duration, cum uint64) (rest []request) {
	for _, r := range asking {
		switch {
		case r.lost:
		case r.back > now:
			rest = append(rest, r)
		default:
			c.NoteEcho(now, Echo{Sent: r.sent, Before: r.cum, InFlight: int(cum - r.cum)})
		}
	}
	return rest
}

// arrived tells whether the sender can know by now that o arrived.
func (p *path) arrived(o onWay, now time.Duration) bool { return o.arrives+p.delay <= now }

// ask tells of holes as soon as a later packet has arrived.
func (p *path) ask(c *Controller, way []onWay, now time.Duration, from int) int {
	for i := len(way) - 1; i >= from; i-- {
		if way[i].lost || !p.arrived(way[i], now) {
			continue
		}
		for _, o := range way[from:i] {
			if o.lost || p.random.Float64() < p.hasty {
				c.NoteMissing(now, o.sent)
			}
		}
		return i + 1
	}
	return from
}

func (p *path) feedback(c *Controller, way []onWay, now time.Duration, from int) int {
	last := -1
	for i := from; i < len(way); i++ {
		if !way[i].lost && p.arrived(way[i], now) {
			last = i
		}
	}
	if last < 0 {
		return from
	}
	for _, o := range way[from : last+1] {
		if o.lost {
			c.NoteMissing(now, o.sent)
		} else {
			c.NoteArrival(o.sent, o.arrives+7*time.Hour, o.size)
		}
	}
	c.EndArrivals(now, way[last].sent, int(way[len(way)-1].cum-way[last].cum))
	return last + 1
}

func (p *path) report(c *Controller, way []onWay, now time.Duration, from, lost int) (next, nextLost int) {
	last := -1
	for i := from; i < len(way); i++ {
		if !way[i].lost && p.arrived(way[i], now) {
			last = i
		}
	}
	if last < 0 {
		return from, lost
	}
	n := 0
	for _, o := range way[from : last+1] {
		if o.lost {
			n++
		}
	}
	c.NoteReport(now, Report{
		Loss: float64(n) / float64(last+1-from), Newest: way[last].sent,
		InFlight: int(way[len(way)-1].cum - way[last].cum), Acked: way[last].cum,
	})
	return last + 1, 0
}

// step is a capacity that falls from high to low between from and to.
func step(high, low float64, from, to time.Duration) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if at >= from && at < to {
			return low
		}
		return high
	}
}

// above says for how long, from a moment on, the queue delayed by more than limit.
func (r run) above(limit, from time.Duration) time.Duration {
	var n int
	for _, d := range r.delay[int(from/interval):] {
		if d > limit.Seconds() {
			n++
		}
	}
	return time.Duration(n) * interval
}

// reaches says how long after from the rate sent, averaged over half a second, is at least rate.
func (r run) reaches(rate float64, from time.Duration) time.Duration {
	const half = 15
	for i := int(from / interval); i+half <= len(r.sent); i++ {
		sum := 0.0
		for _, s := range r.sent[i : i+half] {
			sum += s
		}
		if sum/half >= rate {
			return time.Duration(i+half)*interval - from
		}
	}
	return time.Hour
}

// longestGap is the longest time without a picture sent.
func (r run) longestGap() time.Duration {
	most, n := 0, 0
	for _, s := range r.sent {
		if n++; s > 0 {
			n = 0
		}
		most = max(most, n)
	}
	return time.Duration(most) * interval
}

// Packets that were too large for the path were lost, and the rate was cut for it. Once that is known,
// the rate is what it was before, and what comes in late about those packets changes nothing.
func TestCutsForPacketsThatWereTooLargeAreTakenBack(t *testing.T) {
	c := New(600_000)
	now := time.Hour
	play := func(length time.Duration, missing bool) {
		for end := now + length; now < end; now += 10 * time.Millisecond {
			c.NoteSent(now, 1200, 1160)
			if missing {
				c.NoteMissing(now, now-time.Millisecond)
			}
			c.Advise(now)
		}
	}
	play(10*time.Second, false)
	before := c.Rate()
	play(2*time.Second, true)
	if c.Rate() > before*3/4 || c.Cuts()[Losses] == 0 {
		t.Fatalf("%d bit/s of %d after 2 s of losses, want less", c.Rate(), before)
	}
	c.NoteSmallerPackets(now)
	if c.Rate() < before*95/100 {
		t.Errorf("%d bit/s once size is known to be the cause, want the %d of before", c.Rate(), before)
	}
	for range 100 {
		c.NoteMissing(now+time.Second, now-time.Millisecond)
	}
	if c.Rate() < before*95/100 {
		t.Errorf("%d bit/s after late news of large packets, want %d", c.Rate(), before)
	}
	play(3*time.Second, true)
	if c.Rate() > before*3/4 {
		t.Errorf("%d bit/s after losses of small packets, want a cut", c.Rate())
	}
}

package ratecontrol

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// full is what VP8 gets of the owner's rate on a wide path: the rest are headers, and room.
const full = plannedShare * packet / (packet + headers)

// bottleneck is the path of the issue: narrow for 10 s, with a queue of 2 s.
func (p path) bottleneck(high float64) path {
	p.capacity = step(high, 0.4e6, 20*time.Second, 30*time.Second)
	p.queue = 2 * time.Second
	p.delay = max(p.delay, 5*ms)
	return p
}

func TestBottleneckIsSeenDrainedAndLeftAgain(t *testing.T) {
	type trial struct {
		name       string
		path       path
		late, back time.Duration
	}
	trials := []trial{
		{"transport feedback", path{transport: true}, 700 * ms, 5 * time.Second},
		{"transport feedback from 50 ms away with jitter", path{transport: true, delay: 50 * ms, jitter: 10 * ms},
			900 * ms, 6 * time.Second},
		{"reports each 5 s and echoes", path{reports: 5 * time.Second, echo: true}, 1500 * ms, 7 * time.Second},
		{"echoes from 50 ms away with jitter", path{reports: 5 * time.Second, echo: true, delay: 50 * ms,
			jitter: 10 * ms}, 1500 * ms, 7 * time.Second},
		{"echoes alone", path{echo: true}, 1500 * ms, 7 * time.Second},
		{"echoes that pass the queue by", path{reports: 5 * time.Second, echo: true, aside: true}, 8 * time.Second,
			10 * time.Second},
		{"reports of the feedback profile", path{nack: true, reports: 500 * ms}, 2500 * ms, 10 * time.Second},
		{"reports each 5 s, no requests", path{reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second},
	}
	for first := time.Duration(0); first < 5*time.Second; first += time.Second {
		trials = append(trials, trial{fmt.Sprintf("reports each 5 s, the first after %v", first),
			path{nack: true, first: first, reports: 5 * time.Second}, 8 * time.Second, 10 * time.Second})
	}
	for _, high := range []float64{1.0e6, 1.1e6} { // at 1.0e6 the owner's rate and headers do not fit
		for _, test := range trials {
			t.Run(fmt.Sprintf("%s, %g bit/s", test.name, high), func(t *testing.T) {
				p := test.path.bottleneck(high)
				r := p.play(t, 1_000_000, 50*time.Second)
				late, back, gap := r.above(300*ms, 20*time.Second), r.reaches(900_000, 30*time.Second), r.longestGap()
				t.Logf("above 300 ms for %v, back after %v, longest gap %v, held %d, cuts %v", late, back, gap,
					r.held, r.c.Cuts())
				if late > test.late || back > test.back || gap > time.Second {
					t.Errorf("above 300 ms for %v, want at most %v; back after %v, want %v; "+
						"longest gap %v, want 1s", late, test.late, back, test.back, gap)
				}
			})
		}
	}
}

func TestStreamStartsLowAndReachesWhatTheOwnerAllows(t *testing.T) {
	wide := step(100e6, 100e6, 0, 0)
	for _, test := range []struct {
		name   string
		path   path
		within time.Duration
	}{
		{"transport feedback", path{transport: true, capacity: wide}, 4 * time.Second},
		{"reports each 5 s", path{reports: 5 * time.Second, capacity: wide}, 6 * time.Second},
		{"a receiver that says nothing", path{capacity: wide}, 5 * time.Second},
		{"5 % of radio loss with transport feedback", path{transport: true, loss: 0.05, capacity: wide},
			5 * time.Second},
		{"3 % of loss, jitter, transport feedback", path{transport: true, loss: 0.03, delay: 30 * ms,
			jitter: 10 * ms, capacity: wide}, 5 * time.Second},
		{"5 % of loss and requests, reports each second", path{nack: true, reports: time.Second, loss: 0.05,
			delay: 30 * ms, capacity: wide}, 40 * time.Second},
		{"3 % of loss and as many hasty requests, reports each 5 s",
			path{nack: true, reports: 5 * time.Second, loss: 0.03, hasty: 0.04, delay: 30 * ms, jitter: 10 * ms,
				capacity: wide}, 40 * time.Second},
		{"3 % of loss and requests, reports each second", path{nack: true, reports: time.Second, loss: 0.03,
			delay: 30 * ms, capacity: wide}, 40 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := test.path
			p.queue = 2 * time.Second
			r := p.play(t, 600_000, 60*time.Second)
			if r.rate[0] != 300_000 {
				t.Errorf("starts at %.0f, want half the owner's 600000", r.rate[0])
			}
			at := time.Hour
			for i, rate := range r.rate {
				if rate > 600_000 {
					t.Fatalf("%.0f bit/s after %v: above the owner's rate", rate, time.Duration(i)*interval)
				}
				if rate >= 0.95*full*600_000 && at == time.Hour {
					at = time.Duration(i) * interval
				}
			}
			if at > test.within {
				t.Errorf("the owner's rate after %v, want %v; cuts %v", at, test.within, r.c.Cuts())
			}
			if last := r.rate[len(r.rate)-1]; last < 0.8*600_000 {
				t.Errorf("%.0f bit/s after a minute: cuts %v", last, r.c.Cuts())
			}
		})
	}
}

func TestHeavyLossCutsWhateverTellsOfIt(t *testing.T) {
	for name, p := range map[string]path{
		"transport feedback": {transport: true},
		"requests":           {nack: true},
		"reports":            {reports: time.Second},
	} {
		p.capacity, p.queue, p.loss, p.delay = step(100e6, 100e6, 0, 0), time.Second, 0.4, 20*ms
		r := p.play(t, 600_000, 20*time.Second)
		if last := r.rate[len(r.rate)-1]; last > 200_000 || r.c.Cuts()[Losses] == 0 {
			t.Errorf("%s of 40 %% loss: %.0f bit/s after 20 s, cuts %v", name, last, r.c.Cuts())
		}
	}
}

// A stream that is slow already has few packets, of which three in half a second are many.
func TestFewRequestsDoNotSlowASlowStream(t *testing.T) {
	p := path{nack: true, loss: 0.03, hasty: 0.05, delay: 30 * ms, jitter: 10 * ms,
		capacity: step(100e6, 100e6, 0, 0), queue: time.Second}
	r := p.play(t, 120_000, 5*time.Minute)
	if n := r.c.Cuts()[Losses]; n > 0 {
		t.Errorf("%d cuts in 5 minutes for 8 %% of packets asked for, want none", n)
	}
}

func TestFeedbackThatStopsCutsAndComingBackGrows(t *testing.T) {
	c := New(1_000_000)
	now := time.Duration(0)
	run := func(length time.Duration, feedback bool) {
		for end := now + length; now < end; now += interval {
			bitrate, _ := c.Advise(now)
			c.NoteSent(now, bitrate/8/30, bitrate/8/30)
			if feedback {
				c.NoteArrival(now, now+10*ms, bitrate/8/30)
				c.EndArrivals(now+20*ms, now, 0)
			}
		}
	}
	run(5*time.Second, true)
	full := c.Rate()
	run(1400*ms, false)
	if cut := c.Rate(); cut > full*8/10 || c.Cuts()[Silence] == 0 {
		t.Errorf("%d bit/s after 1.4 s without feedback, was %d; cuts %v", cut, full, c.Cuts())
	}
	run(5*time.Second, true)
	if c.Rate() < full*9/10 {
		t.Errorf("%d bit/s 5 s after feedback came back, was %d", c.Rate(), full)
	}
}

// What waits on the way back must not starve the stream.
func TestQueueOnTheWayBackCostsLittle(t *testing.T) {
	for name, back := range map[string]func(time.Duration) time.Duration{
		"300 ms for a minute": func(at time.Duration) time.Duration {
			if at < 20*time.Second || at > 80*time.Second {
				return 0
			}
			return min(at-20*time.Second, 300*ms)
		},
		"now and then": func(at time.Duration) time.Duration { // a host that sleeps
			if at/(200*ms)%7 == 0 {
				return 150 * ms
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := path{capacity: step(5e6, 5e6, 0, 0), queue: time.Second, delay: 10 * ms, echo: true,
				reports: 5 * time.Second, back: back}
			r := p.play(t, 600_000, 120*time.Second)
			least, sum := 1e9, 0.0
			for _, rate := range r.rate[10*30:] {
				least, sum = min(least, rate), sum+rate
			}
			mean := sum / float64(len(r.rate)-300)
			t.Logf("least %.0f, mean %.0f bit/s, longest gap %v, held %d, cuts %v", least, mean, r.longestGap(), r.held,
				r.c.Cuts())
			if least < 250_000 || mean < 0.92*full*600_000 || r.longestGap() > 500*ms {
				t.Error("want at least 250 of 600 kbit/s, 515 in the mean, and no gap over 0.5 s")
			}
		})
	}
}

// Nothing that a receiver can say makes a rate that cannot be.
func TestAnyFeedbackKeepsTheRateWithinItsBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	c := New(600_000)
	now := time.Duration(0)
	odd := func() time.Duration { return time.Duration(random.Int64()) - 1<<62 }
	for i := range 200_000 {
		now += time.Duration(random.IntN(50)) * ms
		switch random.IntN(8) {
		case 5:
			c.NoteEcho(now, Echo{Sent: now - time.Duration(random.IntN(12_000))*ms,
				Before: random.Uint64() >> random.IntN(64), InFlight: random.IntN(1 << 30)})
		case 6:
			c.NoteEcho(now, Echo{Sent: odd(), Before: random.Uint64(), InFlight: random.IntN(1 << 30)})
		case 0:
			c.NoteSent(now, 1+random.IntN(1500), random.IntN(1500))
		case 1:
			c.NoteArrival(odd(), odd(), random.IntN(1500))
		case 2:
			c.EndArrivals(now, odd(), random.IntN(1<<30))
		case 3:
			c.NoteReport(now, Report{Loss: random.Float64(), Newest: odd(), InFlight: random.IntN(1 << 30),
				Acked: random.Uint64()})
		case 4:
			c.NoteMissing(now, odd())
		default:
			if bitrate, _ := c.Advise(now); bitrate < minRate || bitrate > 600_000 {
				t.Fatalf("step %d: %d bit/s, want %d to 600000", i, bitrate, minRate)
			}
		}
	}
}

func TestOwnerBelowTheLeastRateIsObeyed(t *testing.T) {
	c := New(30_000)
	for i := range 300 {
		if bitrate, _ := c.Advise(time.Duration(i) * interval); bitrate > 30_000 {
			t.Fatalf("%d bit/s, the owner allows 30000", bitrate)
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	c := New(600_000)
	now := time.Duration(0)
	if n := testing.AllocsPerRun(1000, func() {
		now += interval
		c.Advise(now)
		c.NoteSent(now, 1200, 1160)
		c.NoteArrival(now, now+10*ms, 1200)
		c.EndArrivals(now, now, 0)
		c.NoteReport(now, Report{Newest: now, Acked: uint64(now)})
		c.NoteMissing(now, now)
		c.NoteEcho(now, Echo{Sent: now, Before: uint64(now)})
	}); n != 0 {
		t.Errorf("%v allocations a picture, want 0", n)
	}
}

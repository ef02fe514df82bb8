// What a gateway sees of a source, whatever goes wrong at either: hours of it, in fake time.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A point is where a session can fail.
type point string

const (
	pointNew      point = "new_utilization_id"
	pointStart    point = "start_stream"
	pointKeys     point = "keys"
	pointResolve  point = "the receiver's name"
	pointAllowed  point = "a receiver that is not allowed"
	pointBegin    point = "the stream's beginning"
	pointValidate point = "validate_stream"
	pointCaptured point = "a validation code"
	pointStop     point = "stop_stream"
)

// A request is one that the gateway saw.
type request struct {
	action     string
	began, end time.Time
	attempt    bool // to stream: start_stream, or what keeps from it
	goodbye    bool // stop_stream at a session's end
}

// A bench is a gateway, a receiver and a camera that fail as told, and note what was asked.
type bench struct {
	fails func(point) error    // nil: it does not
	takes func() time.Duration // how long a request takes
	ended func() bool          // the session is at its end
	mu    sync.Mutex
	saw   []request
}

func (b *bench) ask(action string, p point) error {
	r := request{action: action, began: time.Now(), goodbye: b.ended()}
	err := b.fails(p)
	if neverSent(err) {
		return err
	}
	time.Sleep(b.takes())
	r.end = time.Now()
	r.attempt = action == wire.ActionStartStream || action == wire.ActionNewUtilizationID && err != nil
	b.mu.Lock()
	b.saw = append(b.saw, r)
	b.mu.Unlock()
	return err
}

func (b *bench) NewUtilizationID(context.Context) (wire.ID, error) {
	return wire.TextID("7"), b.ask(wire.ActionNewUtilizationID, pointNew)
}

func (b *bench) StartStream(context.Context, wire.ID, int, int) (Grant, error) {
	err := b.ask(wire.ActionStartStream, pointStart)
	g := Grant{Host: "receiver.example", RTPPort: 5004, RTCPPort: 5005, KeepAlive: 5 * time.Second}
	if b.fails(pointKeys) != nil {
		g.SRTP = &wire.SRTP{Source: []byte{1}, Receiver: []byte{1}}
	}
	return g, err
}

func (b *bench) ValidateStream(context.Context, wire.ID) (Validation, error) {
	err := b.ask(wire.ActionValidateStream, pointValidate)
	if b.fails(pointCaptured) != nil {
		return Validation{Code: 1}, err
	}
	return Validation{}, err
}

func (b *bench) StopStream(context.Context, wire.ID) error {
	return b.ask(wire.ActionStopStream, pointStop)
}

func (b *bench) Begin(context.Context, Grant) error { return b.fails(pointBegin) }
func (b *bench) KeyFrame()                          {}
func (b *bench) End()                               {}

func (b *bench) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if b.fails(pointAllowed) != nil {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("192.0.2.9")}, b.fails(pointResolve)
}

// weather is what happens around a session meanwhile; 0: never.
type weather struct {
	news   time.Duration // between two Wakes
	doubts time.Duration // between two Doubts
	camera time.Duration // after which a session ends and the next begins
}

// play runs sessions for so long, in fake time, and returns what the gateway saw.
func (b *bench) play(t *testing.T, length time.Duration, w weather, random *rand.Rand) []request {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		s := NewSession(SessionConfig{
			Asker: b, Policy: Policy{Resolver: b, Local: noInterfaces}, Random: random.Float64,
		})
		var around sync.WaitGroup
		every := func(d time.Duration, do func()) {
			if d == 0 {
				return
			}
			around.Go(func() {
				tick := time.NewTicker(d)
				defer tick.Stop()
				for {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						do()
					}
				}
			})
		}
		every(w.news, s.Wake)
		every(w.doubts, s.Doubt)
		for ctx.Err() == nil {
			one, end := context.WithCancel(ctx)
			if w.camera != 0 {
				one, end = context.WithTimeout(ctx, w.camera)
			}
			b.ended = func() bool { return one.Err() != nil }
			_ = s.Run(one, 640, 480, b)
			end()
			if w.camera != 0 {
				time.Sleep(50 * time.Millisecond) // until the camera is open again
			}
		}
		around.Wait()
	})
	return b.saw
}

// checkPace holds what a gateway saw against the words at the type pace.
func checkPace(t *testing.T, name string, saw []request) {
	t.Helper()
	for i := 1; i < len(saw); i++ {
		gap := saw[i].began.Sub(saw[i-1].end)
		pair := saw[i].action == wire.ActionStartStream && saw[i-1].action == wire.ActionNewUtilizationID
		if gap < time.Second && !pair && !saw[i].goodbye {
			t.Errorf("%s: %s %v after %s", name, saw[i].action, gap, saw[i-1].action)
			return
		}
	}
	first := 0
	for i := range saw {
		// The most requests that any t seconds up to this one have, less t.
		if saw[i].began.Sub(saw[first].began) >= time.Duration(i-first)*time.Second {
			first = i
		}
		if n, in := i-first+1, saw[i].began.Sub(saw[first].began); float64(n) > in.Seconds()+3 {
			t.Errorf("%s: %d requests in %v", name, n, in)
			return
		}
	}
}

// attemptsIn counts them between two times after the first request.
func attemptsIn(saw []request, from, to time.Duration) (n int) {
	for _, r := range saw {
		if at := r.began.Sub(saw[0].began); r.attempt && at >= from && at < to {
			n++
		}
	}
	return n
}

// everyError has each kind of error that a request can end with.
func everyError() map[string]error {
	all := map[string]error{
		"no answer":                ErrSilent,
		"not reached":              ErrUnreachable,
		"refused":                  fmt.Errorf("%w: %w", ErrUnreachable, syscall.ECONNREFUSED),
		"no route behind a lookup": fmt.Errorf("%w: %w", ErrUnreachable, syscall.ENETUNREACH),
		"no route":                 fmt.Errorf("%w: %w: %w", ErrUnreachable, errNeverSent, syscall.ENETUNREACH),
		"certificate":              &CertificateError{Err: errors.New("x")},
		"TLS":                      ErrHandshake,
		"no TLS":                   ErrNotTLS,
	}
	for _, status := range []int{200, 204, 301, 308, 400, 401, 404, 408, 421, 429, 500, 502, 511, 521, 599} {
		for _, body := range []string{"", "<html>", `{}`, `{"error_code`} {
			if _, err := judgeAnswer("x", response{status: status, body: []byte(body)}, time.Now()); err != nil {
				all[fmt.Sprintf("HTTP %d with %q", status, body)] = err
			}
		}
	}
	for _, status := range []int{408, 425, 429, 502, 503, 521, 599} {
		_, err := judgeAnswer("x", response{
			status: status, header: http.Header{"Retry-After": {"7"}}, body: []byte("{}"),
		}, time.Now())
		all[fmt.Sprintf("HTTP %d with Retry-After", status)] = err
	}
	for _, code := range append(wire.Codes(), 0, -1, 5005, 4290, 9999, 1<<30) {
		all[fmt.Sprint("code ", code)] = refused(code)
	}
	return all
}

// everyFault is each error at each point where it can be.
func everyFault() map[string]func(point) error {
	all := map[string]func(point) error{"nothing fails": func(point) error { return nil }}
	at := func(where point, name string, err error) {
		all[string(where)+": "+name] = func(p point) error {
			if p == where {
				return err
			}
			return nil
		}
	}
	for name, err := range everyError() {
		for _, p := range []point{pointNew, pointStart, pointValidate} {
			at(p, name, err)
		}
		// stop_stream is asked where something else has failed already.
		all["the beginning and stop_stream: "+name] = func(p point) error {
			switch p {
			case pointBegin:
				return syscall.ENETUNREACH
			case pointStop:
				return err
			}
			return nil
		}
	}
	at(pointKeys, "the same in both directions", wire.ErrKeys)
	at(pointAllowed, "loopback", ErrDestination)
	at(pointResolve, "no server", fmt.Errorf("lookup: %w", errNoNameServer))
	at(pointResolve, "no such host", errors.New("no such host"))
	at(pointCaptured, "3", ErrUncaptured)
	for _, err := range []error{
		syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, syscall.EMFILE,
		syscall.EACCES, errors.New("no camera"), errors.New("no encoder"),
	} {
		at(pointBegin, err.Error(), err)
	}
	return all
}

// Each fault stays for half an hour, in each weather. The gateway sees no more than pace promises, and
// attempts that bring nothing are soon a minute apart.
func TestGatewayIsNeverAskedMoreThanOnceASecondAndSoonOnceAMinute(t *testing.T) {
	const half = 30 * time.Minute
	faults := everyFault()
	worst := 0
	for i, name := range slices.Sorted(maps.Keys(faults)) {
		fails := faults[name]
		storms := []struct {
			name string
			weather
		}{
			{"the link flaps", weather{news: 1700 * time.Millisecond}},
			{"the camera comes and goes", weather{camera: 3300 * time.Millisecond}},
			{"all of it", weather{
				news: 2300 * time.Millisecond, doubts: 1900 * time.Millisecond, camera: 9 * time.Second,
			}},
		}
		// Each fault has calm and one of the storms: the points and kinds of faults are many.
		weathers := map[string]weather{"calm": {}, storms[i%3].name: storms[i%3].weather}
		for what, w := range weathers {
			random := rand.New(rand.NewPCG(1, uint64(len(name))))
			b := &bench{fails: fails, takes: func() time.Duration { return 30 * time.Millisecond }}
			saw := b.play(t, half, w, random)
			checkPace(t, name+", "+what, saw)
			atFirst := 6 // at 0, 1, 3, 7, 15 and 37 s
			if w.news != 0 {
				atFirst += 2 * newsMax // each begins the row anew
			}
			if n := attemptsIn(saw, 0, time.Minute); n > atFirst {
				t.Errorf("%s, %s: %d attempts in the first minute, want at most %d", name, what, n, atFirst)
			}
			for at := 10 * time.Minute; at < half; at += 10 * time.Minute {
				// The backoff's 12, and the 5 that follow the one piece of news that counts.
				n := attemptsIn(saw, at, at+10*time.Minute)
				worst = max(worst, n)
				if n > 17 {
					t.Errorf("%s, %s: %d attempts in the 10 minutes after %v, want at most 17", name, what, n, at)
				}
			}
		}
	}
	t.Logf("FIGURE gateway attempts: %d faults, at most %d attempts in 10 minutes", len(faults), worst)
}

// Faults come and go at random, at every point, and so does everything around a session.
func TestGatewayIsNeverAskedMoreThanOnceASecondInAnyMixtureOfFaults(t *testing.T) {
	kinds := []error{}
	for _, err := range everyError() {
		kinds = append(kinds, err)
	}
	for seed := range uint64(15) {
		random := rand.New(rand.NewPCG(seed, 11))
		often := random.Float64()
		var mu sync.Mutex
		chance := func() float64 { mu.Lock(); defer mu.Unlock(); return random.Float64() }
		b := &bench{
			fails: func(point) error {
				if chance() > often {
					return nil
				}
				return kinds[int(chance()*float64(len(kinds)))]
			},
			takes: func() time.Duration { return time.Duration(chance() * chance() * float64(10*time.Second)) },
		}
		some := func() time.Duration { return time.Duration(chance() * chance() * float64(20*time.Second)) }
		saw := b.play(t, time.Hour, weather{news: some(), doubts: some(), camera: some() * 3}, random)
		checkPace(t, fmt.Sprint("seed ", seed), saw)
	}
}

func TestNewsCountEightTimesAndThenOnceInTenMinutes(t *testing.T) {
	var n newsBudget
	at := time.Unix(1_800_000_000, 0)
	counted := 0
	for range 3600 { // an hour of a link that flaps
		if n.take(at) {
			counted++
		}
		at = at.Add(time.Second)
	}
	if counted != 8+5 {
		t.Errorf("%d of 3600 counted, want 8 and 5 that came back", counted)
	}
	at = at.Add(2 * time.Hour)
	for i := range 9 {
		if got := n.take(at); got != (i < 8) {
			t.Errorf("after two quiet hours news %d counts: %v", i, got)
		}
	}
}

// Where the gateway cannot be reached at all, nobody is bothered, but not for ever either.
func TestRequestThatNeverLeftIsRepeatedSoonFor30Seconds(t *testing.T) {
	var p pace
	at := time.Unix(1_800_000_000, 0)
	pause := func() time.Duration {
		p.noteRequest(wire.ActionStartStream, errNeverSent, at)
		p.planRetry(errNeverSent, true, at, 0)
		d := p.due.Sub(at)
		at = p.due
		return d
	}
	for i := range unsentTriesMax {
		if d := pause(); d != unsentPause {
			t.Fatalf("pause %d = %v, want %v", i, d, unsentPause)
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 22, 50, 50} {
		if d := pause(); d != want*time.Second {
			t.Errorf("pause = %v, want %v", d, want*time.Second)
		}
	}
	for range 100 { // a link that flaps: each time there may be a way out now
		p.takeNews(at)
		if d := p.due.Sub(at); d > unsentPauseWake {
			t.Fatalf("due %v after news, want %v", d, unsentPauseWake)
		}
		pause()
	}
	// The first request that leaves has its turn at once: none left before it.
	if d := p.turnIn(wire.ActionStartStream, at); d > 0 {
		t.Errorf("turn in %v, want now", d)
	}
}

package gateway

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const begin = "BEGIN 192.0.2.9:5004 192.0.2.9:5005"

func TestSessionStartsValidatesAndRenewsTheLease(t *testing.T) {
	store := &memory{}
	s, session := play(t, store, nil,
		step{ask: "new", id: "7"}, step{ask: "start 7"},
		step{ask: "validate 7"}, step{ask: "validate 7"}, step{ask: "validate 7"})
	// The first validation pays for start_stream, which did not wait.
	want := []string{"new", "start 7", begin, "wait 1s", "wait 1s", "validate 7", "wait 1m0s", "validate 7",
		"wait 1m0s",
		"validate 7",
		"wait 1m0s", "validate 7", "END", "stop 7"} // the end waits for nothing
	if diff := cmp.Diff(want, s.log); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
	if store.saves != 1 || store.id != wire.TextID("7") {
		t.Errorf("store = %v after %d writes, want 7 after 1", store.id, store.saves)
	}
	if got := session.State(); got.Phase != PhaseIdle || got.Problem != "" || got.Utilization != wire.TextID("7") {
		t.Errorf("State = %+v", got)
	}
}

func TestSessionUsesTheKeptIDWithoutWriting(t *testing.T) {
	store := &memory{id: wire.TextID("old")}
	play(t, store, nil, step{ask: "start old"}, step{ask: "validate old"})
	if store.saves != 0 {
		t.Errorf("%d writes of an id that did not change", store.saves)
	}
}

func TestSessionGoesOnWithoutItsStore(t *testing.T) {
	play(t, &memory{err: errors.New("disk")}, nil, step{ask: "new", id: "7"}, step{ask: "start 7"},
		step{ask: "validate 7"})
}

// Every row of "What a source does with an answer", for start_stream: the pause
// after it, and what is asked next.
func TestSessionAfterEachAnswerToStart(t *testing.T) {
	const fast, slow = time.Second, 2 * time.Minute
	for _, c := range []struct {
		name  string
		err   error
		pause time.Duration
		next  []step
	}{
		{"4011 key not valid", refused(4011), slow, []step{{ask: "start 7"}}},
		{"4013 id and key not compatible", refused(4013), slow, []step{{ask: "start 7"}}},
		{"4051 key not configured", refused(4051), slow, []step{{ask: "start 7"}}},
		{"4052 utilization not configured", refused(4052), slow, []step{{ask: "start 7"}}},
		{"4151 codec not supported", refused(4151), slow, []step{{ask: "start 7"}}},
		{"4012 id not valid", refused(4012), fast, []step{{ask: "new", id: "8"}, {ask: "start 8"}}},
		{"4081 not received", refused(4081), fast, []step{{ask: "start 7"}}},
		{"5001 no listener", refused(5001), fast, []step{{ask: "start 7"}}},
		{"5002 not captured", refused(5002), fast, []step{{ask: "start 7"}}},
		{"5003 get_data", refused(5003), fast, []step{{ask: "start 7"}}},
		{"5004 state", refused(5004), fast, []step{{ask: "start 7"}}},
		{"5005 that no table has", refused(5005), fast, []step{{ask: "start 7"}}},
		{"5011 unknown action", refused(5011), fast, []step{{ask: "start 7"}}},
		{"5031 no video server", refused(5031), fast, []step{{ask: "start 7"}}},
		{"no route", ErrUnreachable, fast, []step{{ask: "start 7"}}},
		{"time-out", ErrSilent, fast, []step{{ask: "start 7"}}},
		{"bad JSON", ErrBadAnswer, fast, []step{{ask: "start 7"}}},
		{"our clock", &CertificateError{Err: errors.New("x")}, fast, []step{{ask: "start 7"}}},
		{"4001 no action", refused(4001), slow, []step{{ask: "start 7"}}},
		{"4002 no key", refused(4002), slow, []step{{ask: "start 7"}}},
		{"4003 no id", refused(4003), slow, []step{{ask: "start 7"}}},
		{"4004 no descriptor", refused(4004), slow, []step{{ask: "start 7"}}},
		{"4005 no data", refused(4005), slow, []step{{ask: "start 7"}}},
		{"4006 no administrator", refused(4006), slow, []step{{ask: "start 7"}}},
		{"4053 administrator not valid", refused(4053), slow, []step{{ask: "start 7"}}},
		{"4093 not analysed", refused(4093), slow, []step{{ask: "start 7"}}},
		{"4220 that no table has", refused(4220), slow, []step{{ask: "start 7"}}},
		{"too many requests", refused(4290), fast, []step{{ask: "start 7"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps := append([]step{{ask: "start 7", err: c.err}}, c.next...)
			s, _ := play(t, &memory{id: wire.TextID("7")}, nil, steps...)
			want := []string{"start 7", "wait " + c.pause.String(), c.next[0].ask}
			if got := s.log[:3]; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// The same rows for new_utilization_id, where 4011 is the one that is named.
func TestSessionAsksForAnIDAtThePaceOfTheAnswer(t *testing.T) {
	for err, want := range map[error]string{refused(4011): "wait 2m0s", refused(5031): "wait 1s",
		ErrSilent: "wait 1s"} {
		s, _ := play(t, nil, nil, step{ask: "new", err: err}, step{ask: "new", id: "7"}, step{ask: "start 7"})
		if got := s.log[1]; got != want {
			t.Errorf("after %v: %q, want %q", err, got, want)
		}
	}
}

func TestSessionStopsItsOwnIDOnceAndThenBlamesAnotherSource(t *testing.T) {
	var problems []string
	note := func(session *Session) func() {
		return func() { problems = append(problems, session.State().Problem) }
	}
	s, _ := play(t, &memory{id: wire.TextID("7")}, func(s *script, session *Session) {
		s.steps[2].then, s.steps[3].then = note(session), note(session)
	},
		step{ask: "start 7", err: refused(4091)}, step{ask: "stop 7", err: refused(4092)},
		step{ask: "start 7", err: refused(4091)}, step{ask: "start 7", err: refused(4091)}, step{ask: "start 7"})
	want := []string{"start 7", "wait 1s", "stop 7", "wait 1s", "start 7", "wait 2s", "start 7", "wait 4s",
		"start 7", begin}
	if diff := cmp.Diff(want, s.log[:len(want)]); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
	if len(problems) != 2 || !strings.Contains(problems[0], "already active") ||
		!strings.Contains(problems[1], "another source") {
		t.Errorf("problems = %q", problems)
	}
}

func TestSessionStopsAgainWhenTheStopOrTheGrantGotLost(t *testing.T) {
	play(t, &memory{id: wire.TextID("7")}, nil,
		step{ask: "start 7", err: refused(4091)}, step{ask: "stop 7", err: ErrSilent},
		step{ask: "start 7", err: refused(4091)}, step{ask: "stop 7"},
		step{ask: "start 7", err: ErrSilent}, // granted, but the answer got lost
		step{ask: "start 7", err: refused(4091)}, step{ask: "stop 7"}, step{ask: "start 7"})
}

func TestSessionForcesKeyFramesThenStopsAndStartsOver(t *testing.T) {
	no := step{ask: "validate 7", validation: 3}
	s, _ := play(t, &memory{id: wire.TextID("7")}, nil,
		step{ask: "start 7"}, no, no, no, no, no, no, step{ask: "stop 7"}, step{ask: "start 7"},
		step{ask: "validate 7"})
	want := []string{"start 7", begin, "wait 1s", "validate 7", "KEYFRAME", "wait 1s", "validate 7", "KEYFRAME",
		"wait 2s", "validate 7",
		"KEYFRAME", "wait 4s", "validate 7", "KEYFRAME", "wait 8s", "validate 7", "KEYFRAME", "wait 22s",
		"validate 7",
		"END", "wait 1s", "stop 7", "wait 50s", "start 7", begin, "wait 1s", "validate 7"}
	if diff := cmp.Diff(want, s.log[:len(want)]); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
}

func TestSessionRecoversWhenAKeyFrameHelps(t *testing.T) {
	_, session := play(t, &memory{id: wire.TextID("7")}, nil,
		step{ask: "start 7"}, step{ask: "validate 7", validation: 1}, step{ask: "validate 7"})
	if p := session.State().Problem; p != "" {
		t.Errorf("Problem = %q after a good answer", p)
	}
}

// "A grant is a lease": no good answer for three periods ends the stream.
func TestSessionFallsSilentAfterThreePeriods(t *testing.T) {
	for _, c := range []struct {
		name      string
		keepAlive time.Duration
		err       error
	}{
		{"the gateway is gone, 60 s", 60 * time.Second, ErrUnreachable},
		{"the gateway is gone, 5 s", 5 * time.Second, ErrUnreachable},
		{"the gateway is gone, 600 s", 600 * time.Second, ErrUnreachable},
		{"the video server is gone", 60 * time.Second, refused(5031)},
		{"HTML", 60 * time.Second, ErrBadAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			clock := &fakeClock{now: time.Unix(1_800_000_000, 0)}
			a := &revoked{err: c.err, keepAlive: c.keepAlive, clock: clock, cancel: cancel}
			s := NewSession(SessionConfig{Asker: a, Clock: clock, Policy: Policy{Local: noInterfaces}})
			_ = s.Run(ctx, 640, 480, a)
			if got := a.end.Sub(a.good); got != 3*c.keepAlive {
				t.Errorf("silent %v after the last good answer, want %v", got, 3*c.keepAlive)
			}
			if !a.stopped {
				t.Error("no stop_stream after END")
			}
		})
	}
}

// revoked is a gateway that says yes once and then only err, and the stream of it.
type revoked struct {
	err       error
	keepAlive time.Duration
	clock     *fakeClock
	cancel    func()
	good, end time.Time
	stopped   bool
}

func (a *revoked) NewUtilizationID(context.Context) (wire.ID, error) { return wire.TextID("7"), nil }
func (a *revoked) StartStream(context.Context, wire.ID, int, int) (Grant, error) {
	return Grant{Host: "192.0.2.9", RTPPort: 5004, RTCPPort: 5005, KeepAlive: a.keepAlive}, nil
}
func (a *revoked) ValidateStream(context.Context, wire.ID) (Validation, error) {
	if a.good.IsZero() {
		a.good = a.clock.Now()
		return Validation{}, nil
	}
	return Validation{}, a.err
}
func (a *revoked) StopStream(context.Context, wire.ID) error {
	a.stopped = true
	a.cancel()
	return nil
}
func (a *revoked) Begin(context.Context, Grant) error { return nil }
func (a *revoked) KeyFrame()                          {}
func (a *revoked) End()                               { a.end = a.clock.Now() }

func TestSessionEndsAtOnceWhenTheGrantIsTakenBack(t *testing.T) {
	for code, after := range map[int][]string{
		4011: {"wait 2m0s", "start 7"}, 4013: {"wait 2m0s", "start 7"}, 4051: {"wait 2m0s", "start 7"},
		4092: {"wait 1s", "start 7"}, 4012: {"wait 1s", "new"}, 4081: {"wait 1s", "start 7"},
	} {
		s, _ := play(t, &memory{id: wire.TextID("7")}, nil,
			step{ask: "start 7"}, step{ask: "validate 7"}, step{ask: "validate 7", err: refused(code)},
			step{ask: "stop 7"},
			step{ask: after[1], id: "8"})
		want := append([]string{"END", "wait 1s", "stop 7"}, after...)
		i := slices.Index(s.log, "END")
		if got := s.log[i:min(i+5, len(s.log))]; !slices.Equal(got, want) {
			t.Errorf("%d: %q, want %q", code, got, want)
		}
	}
}

func TestSessionNeverBeginsWhereItMayNotSend(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "239.1.2.3", "255.255.255.255"} {
		s, _ := play(t, &memory{id: wire.TextID("7")}, nil, step{ask: "start 7", host: host}, step{ask: "stop 7"},
			step{ask: "start 7"})
		want := []string{"start 7", "wait 1s", "stop 7", "wait 2m0s", "start 7"}
		if got := s.log[:5]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func TestSessionStopsWhatCannotBegin(t *testing.T) {
	s, session := play(t, &memory{id: wire.TextID("7")},
		func(s *script, _ *Session) { s.begin = errors.New("no camera") },
		step{ask: "start 7"}, step{ask: "stop 7"}, step{ask: "start 7"}, step{ask: "stop 7"})
	if !strings.Contains(session.State().Problem, "no camera") {
		t.Errorf("Problem = %q; %q", session.State().Problem, s.log)
	}
}

func TestBackoffStaysBetweenASecondAndAMinute(t *testing.T) {
	for _, random := range []float64{0, 0.5, 0.999999} {
		var fast, slow backoff
		for i := range 100 {
			if d := fast.nextPause(false, random); d < time.Second || d > time.Minute {
				t.Errorf("pause %d = %v, want 1 s to 1 min", i, d)
			}
			if d := slow.nextPause(true, random); d < 2*time.Minute || d > 5*time.Minute {
				t.Errorf("slow pause %d = %v, want 2 to 5 min", i, d)
			}
		}
	}
}

func TestSessionAsksAnHourOfFailuresAtMostOnceAMinuteApart(t *testing.T) {
	failures := make([]step, 100)
	for i := range failures {
		failures[i] = step{ask: "start 7", err: ErrUnreachable}
	}
	s, _ := play(t, &memory{id: wire.TextID("7")}, nil, failures...)
	for i, d := range s.clock.waits {
		want := time.Second << min(i, 10)
		switch {
		case i == 4:
			want = 22 * time.Second
		case i > 4:
			want = 50 * time.Second
		}
		if d != want {
			t.Fatalf("wait %d = %v, want %v", i, d, want)
		}
	}
}

// The real clock, in a bubble of fake time: Wake and the end need channels.
func TestWakeResetsTheBackoffButNeverAsksFasterThanOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		a := &failing{}
		s := NewSession(SessionConfig{Asker: a, Random: func() float64 { return 0 }})
		done := make(chan error)
		go func() { done <- s.Run(ctx, 640, 480, &revoked{}) }()
		time.Sleep(40 * time.Second) // asked at 0, 1, 3, 7, 15, 31 s; next would be at 61
		s.Wake()
		time.Sleep(10 * time.Millisecond)
		for range 50 { // a link that flaps
			s.Wake()
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if len(a.times) < 9 || a.times[6].Sub(a.times[0]) != 40*time.Second {
			t.Errorf("asked at %v, want the seventh time 40 s after the first", a.times)
		}
		for i := 1; i < len(a.times); i++ {
			if d := a.times[i].Sub(a.times[i-1]); d < time.Second {
				t.Errorf("asked again after %v", d)
			}
		}
	})
}

type failing struct {
	revoked
	err   error // nil: ErrUnreachable
	times []time.Time
}

func (f *failing) NewUtilizationID(context.Context) (wire.ID, error) {
	f.times = append(f.times, time.Now())
	if f.err != nil {
		return wire.ID{}, f.err
	}
	return wire.ID{}, ErrUnreachable
}

// hanging grants, and then never answers again.
type hanging struct{ revoked }

func (h *hanging) ValidateStream(ctx context.Context, _ wire.ID) (Validation, error) {
	<-ctx.Done()
	return Validation{}, ctx.Err()
}
func (h *hanging) StopStream(ctx context.Context, _ wire.ID) error { <-ctx.Done(); return ctx.Err() }
func (h *hanging) End()                                            {}

func TestRunReturnsWithinTwoSecondsFromASilentGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := &hanging{revoked{keepAlive: time.Minute}}
		s := NewSession(SessionConfig{Asker: h, Policy: Policy{Local: noInterfaces}})
		done := make(chan error)
		go func() { done <- s.Run(ctx, 640, 480, h) }()
		time.Sleep(10 * time.Second)
		if got := s.State(); got.Phase != PhaseValidating {
			t.Errorf("State = %+v, want validating", got)
		}
		cancel()
		began := time.Now()
		err := <-done
		if took := time.Since(began); took > 2*time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run = %v after %v, want DeadlineExceeded within 2 s", err, took)
		}
	})
}

func TestASilentGatewayCannotStretchTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := &hanging{revoked{keepAlive: 5 * time.Second}}
		ended := make(chan struct{})
		s := NewSession(SessionConfig{Asker: h, Policy: Policy{Local: noInterfaces}})
		done := make(chan error)
		go func() { done <- s.Run(ctx, 640, 480, ender{h, ended}) }()
		began := time.Now()
		<-ended
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("silent after %v, want 15 s", took)
		}
		cancel()
		<-done
	})
}

type ender struct {
	*hanging
	ended chan struct{}
}

func (e ender) End() { close(e.ended) }

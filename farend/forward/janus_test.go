// Mountpoints of a real Janus.

package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/forward/janus"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// playOn plays the clip until the test is over or stop is called.
func playOn(t *testing.T, src *source, frames [][]byte) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(time.Second / clipFPS):
				src.send(frames[i%len(frames)], time.Now())
			}
		}
	}()
	var once bool
	stop = func() {
		if !once {
			once = true
			close(done)
			<-ended
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestAJanusMountpointLivesAsLongAsTheStreamAndOutlivesJanus(t *testing.T) {
	t.Parallel()
	_, frames := clip(t)
	j := newJanus(t)
	b := start(t, Config{Rules: []Rule{j.rule()}})
	s := b.begin(t, "a")
	began := time.Now()
	b.awaitSending(t)
	id := MountpointID(wire.TextID("a"))
	if got := j.client().mountpoints(); !slices.Equal(got, []uint64{id}) || b.only(t).Mountpoint != id {
		t.Fatalf("mountpoints %v, want %d", got, id)
	}
	t.Logf("FIGURE Janus: mountpoint after %.0f ms", 1e3*time.Since(began).Seconds())
	stop := playOn(t, newSource(s), frames)
	v := j.watch(id)
	await(t, "the viewer sees packets", func() bool { return v.packets.Load() > 30 })
	await(t, "Janus asks for a key frame", func() bool { return b.only(t).PLIs > 0 })
	before, requested := b.only(t).PLIs, b.requested("s-a")
	await(t, "the viewer's request comes back", func() bool {
		v.ask(t)
		time.Sleep(100 * time.Millisecond)
		return b.only(t).PLIs > before && b.requested("s-a") > requested
	})

	j.kill()
	await(t, "Janus' end is noticed", func() bool { return b.only(t).State == StateFailing })
	j.start()
	back := time.Now()
	await(t, "the mountpoint is made again", func() bool {
		st := b.only(t)
		return st.State == StateSending && st.Connections == 2
	})
	t.Logf("FIGURE Janus started again: mountpoint after %.0f ms", 1e3*time.Since(back).Seconds())
	v = j.watch(id)
	await(t, "a viewer sees packets again", func() bool { return v.packets.Load() > 30 })

	stop()
	s.Close()
	c := j.client()
	await(t, "the mountpoint is destroyed", func() bool { return len(c.mountpoints()) == 0 })
}

func TestWhatACrashLeftAtJanusIsDestroyedAndWhatIsOthersStays(t *testing.T) {
	t.Parallel()
	j := newJanus(t)
	ctx := t.Context()
	h, err := janus.Server{URL: j.url(), APISecret: "core", AdminKey: "key", Client: newHTTP()}.Attach(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rule := j.rule()
	mark := newMounter(&Forwarder{config: Config{Name: "test"}}, &rule).mark
	a, c := MountpointID(wire.TextID("a")), MountpointID(wire.TextID("c"))
	for id, metadata := range map[uint64]string{
		1: mark, 2: "krazycam other 00000000", 3: "", a: "krazycam other 00000000", c: "somebody's",
	} {
		if _, err := h.Create(ctx, janus.Request{
			Mountpoint: janus.Mountpoint{ID: id, Metadata: metadata}, Secret: "s42", Iface: "127.0.0.1",
		}); err != nil {
			t.Fatal(err)
		}
	}
	b := start(t, Config{Rules: []Rule{rule}})
	viewer := j.client()
	await(t, "what is ours goes", func() bool { return !slices.Contains(viewer.mountpoints(), 1) })
	b.begin(t, "a") // another server of ours left its id
	b.awaitSending(t)
	taken := b.begin(t, "c") // somebody else has its id
	await(t, "the taken id is said", func() bool {
		_, problem := taken.(*sink).Report()
		return strings.Contains(problem, "already exists")
	})
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
	got, want := viewer.mountpoints(), []uint64{2, 3, c}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("mountpoints %v stay, want %v", got, want)
	}
}

// A source that comes back before its old stream is over keeps the mountpoint, and so do its viewers.
func TestASecondStreamOfASourceTakesItsMountpoint(t *testing.T) {
	t.Parallel()
	j := newJanus(t)
	b := start(t, Config{Rules: []Rule{j.rule()}})
	first := b.begin(t, "a")
	b.awaitSending(t)
	g := grant("a")
	g.ID = "s-again"
	second := b.Sinks(g, "zoo", "")[0]
	await(t, "the second has the mountpoint", func() bool {
		st := b.States()
		return len(st) == 2 && st[1].State == StateSending
	})
	first.Close()
	await(t, "the first is over", func() bool { return len(b.States()) == 1 })
	newSource(second).send([]byte{1}, time.Now())
	if st := b.only(t); st.Packets != 1 || st.State != StateSending {
		t.Errorf("%+v, want a packet sent", st)
	}
}

func TestNinetyStreamsHaveMountpointsAndLeaveNone(t *testing.T) {
	t.Parallel()
	j := newJanus(t)
	b := start(t, Config{Rules: []Rule{j.rule()}})
	c := j.client()
	began := time.Now()
	for n := range 90 {
		b.begin(t, fmt.Sprint(n))
	}
	await(t, "all are made", func() bool {
		return !slices.ContainsFunc(b.States(), func(s State) bool { return s.State != StateSending })
	})
	t.Logf("FIGURE Janus: 90 mountpoints after %.0f ms", 1e3*time.Since(began).Seconds())
	if n := len(c.mountpoints()); n != 90 {
		t.Errorf("%d mountpoints, want 90", n)
	}
	began = time.Now()
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	t.Logf("FIGURE Janus: 90 mountpoints destroyed within %.0f ms", 1e3*time.Since(began).Seconds())
	if n := len(c.mountpoints()); n != 0 {
		t.Errorf("%d mountpoints are left", n)
	}
}

// A mountpoint to which no socket leads costs its stream alone, and is kept until one does.
func TestAMountpointThatCannotBeSentToEndsNothingElse(t *testing.T) {
	t.Parallel()
	j := newJanus(t)
	rule := j.rule()
	rule.Host, rule.Iface = "fe80::1", "127.0.0.1" // an address that is nothing without an interface
	b := start(t, Config{Rules: []Rule{rule}})
	unsent := func(s stream.Sink) {
		t.Helper()
		await(t, "the error is said", func() bool {
			return strings.Contains(s.(*sink).state().Error, "send to the mountpoint")
		})
	}
	first := b.begin(t, "a")
	unsent(first)
	unsent(b.begin(t, "b")) // both are tried now
	g := grant("a")
	g.ID = "s-again"
	unsent(b.Sinks(g, "zoo", "")[0]) // in the place of the first
	if n := len(j.client().mountpoints()); n != 2 {
		t.Errorf("%d mountpoints, want 2", n)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := j.client().mountpoints(); len(got) != 0 {
		t.Errorf("mountpoints %v are left", got)
	}
}

// The end comes while Janus makes a mountpoint: its answer is late, or never comes.
func TestAMountpointThatIsMadeAtTheEndIsDestroyed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer func(r *http.Request)
	}{
		{"late", func(r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(closeLimit / 4):
			}
		}},
		{"never", func(*http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := newJanus(t)
			made := make(chan struct{}, 1)
			rule := j.rule()
			rule.Janus, rule.Host = j.behind(func(r *http.Request) {
				select {
				case made <- struct{}{}:
				default: // it was tried again before the end
				}
				c.answer(r)
			}), "127.0.0.1"
			b := start(t, Config{Rules: []Rule{rule}})
			b.begin(t, "a")
			<-made
			if err := b.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if got := j.client().mountpoints(); len(got) != 0 {
				t.Errorf("mountpoints %v are left", got)
			}
		})
	}
}

// A Janus that says nothing does not keep the end of the program waiting.
func TestASilentJanusDelaysTheEndByTwoSecondsAtMost(t *testing.T) {
	t.Parallel()
	silent := listenTCP(t)
	f, err := New(Config{
		Name: "test", Log: slog.New(slog.DiscardHandler), Now: time.Now, KeyFrame: func(string) {},
		Rules: []Rule{{From: "all", Janus: "http://" + silent + "/janus", Secret: "s"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := f.Sinks(grant("a"), "", "")[0]
	newSource(s).send([]byte{1}, time.Now())
	began, measure := time.Now(), make(chan time.Duration, 1)
	go func() { // how late a timer is on this machine
		time.Sleep(closeLimit)
		measure <- time.Since(began)
	}()
	if err := f.Close(t.Context()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if d, limit := time.Since(began), 3*<-measure/2; d > limit {
		t.Errorf("Close took %v, want %v at most", d, limit)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/offer"
	"github.com/krazycam/krazycam/gokrazy/control"
)

// An updateServer has one bundle, over https with a certificate of its own.
type updateServer struct {
	*httptest.Server

	mu     sync.Mutex
	answer answer
	asked  []string // the queries, one for each question
}

// An answer is what a question gets that comes now: one that came before keeps its own, since the board
// may have given it up while the server still answers.
type answer struct {
	bundle []byte
	status int                 // instead of it; 0: none
	before func(*http.Request) // called first; may be nil
}

func newUpdateServer(t *testing.T) *updateServer {
	t.Helper()
	s := &updateServer{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.RawQuery)
		a := s.answer
		s.mu.Unlock()
		if a.before != nil {
			a.before(r)
		}
		if a.status != 0 {
			w.WriteHeader(a.status)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.bundle))
	}))
	t.Cleanup(s.Close)
	return s
}

// has gives the server a bundle, after which it fails no more.
func (s *updateServer) has(bundle []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer.bundle, s.answer.status = bundle, 0
}

// fails has the server answer with a status.
func (s *updateServer) fails(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer.status = status
}

// first has the server do something before it answers; nil: nothing.
func (s *updateServer) first(do func(*http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer.before = do
}

// gets is how often the server was asked.
func (s *updateServer) gets() int { return len(s.queries()) }

func (s *updateServer) queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// offers has camsource pass on an offer, which trusts the server.
func (b *testBoard) offers(s *updateServer, version string, now bool) {
	b.offersAt(s, "", version, now)
}

func (b *testBoard) offersAt(s *updateServer, query, version string, now bool) {
	b.t.Helper()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	o := offer.Offer{URL: s.URL + "/b.update" + query, Version: version, Now: now, CA: ca}
	if err := offer.Write(b.at.offer, o); err != nil {
		b.t.Fatal(err)
	}
}

// newPullBoard does not look for offers by itself: the test has it look.
func newPullBoard(t *testing.T, edits ...func(*config.Config)) *testBoard {
	b := newTestBoard(t, func(c *config.Config) {
		c.Update.Pull = false
		for _, edit := range edits {
			edit(c)
		}
	})
	b.dial = (&net.Dialer{}).DialContext
	return b
}

func (b *testBoard) lookAt(at time.Time) {
	b.look(b.t.Context(), func() time.Time { return at }, half)
}

func half(d time.Duration) time.Duration { return d / 2 }

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestOfferIsFetchedWithinTheHourAndOnlyWhatIsMissing(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	v2 := newBuild(t, b.by, 2)
	server.has(v2.bundle(t))
	b.lookAt(noon)
	b.offers(server, "v2", false)
	b.lookAt(noon)
	b.lookAt(noon.Add(29 * time.Minute))
	if server.gets() != 0 || !strings.Contains(b.pull.words(), "within the hour") {
		t.Fatalf("%d questions before the moment came; it says %q", server.gets(), b.pull.words())
	}
	b.lookAt(noon.Add(31 * time.Minute))
	b.wants(control.AskApply)
	if !b.spooled(v2) {
		t.Error("the update is not in the spool")
	}
	b.lookAt(noon.Add(2 * time.Hour)) // it is settled
	b.wants(control.AskApply)
}

func TestOfferIsFetchedNow(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	server.has(newBuild(t, b.by, 2).bundle(t))
	b.offers(server, "v2", false)
	b.lookAt(noon)
	b.offers(server, "v2", true)
	b.lookAt(noon.Add(time.Second))
	b.wants(control.AskApply)
}

func TestOwnerSeesHowFarAFetchHasCome(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	v2 := newBuild(t, b.by, 2)
	server.has(v2.bundle(t))
	words := ""
	b.did = func(string) { words = b.pull.words() }
	b.offers(server, "v2", true)
	b.lookAt(noon)
	b.wants(control.AskApply)
	size := float64(v2.manifest.Parts[1].Size+v2.manifest.Parts[2].Size) / 1e6
	if want := fmt.Sprintf("v2 is being fetched: %.1f of %.1[1]f MB", size); words != want {
		t.Errorf("with the last byte it says %q, want %q", words, want)
	}
}

func TestFailedFetchIsTriedAgainWithGrowingPauses(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	server.fails(http.StatusNotFound)
	b.offers(server, "v2", true)
	at := noon
	for _, pause := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute} {
		before := server.gets()
		b.lookAt(at)
		if server.gets() == before {
			t.Fatalf("nothing was asked at %v", at)
		}
		before = server.gets()
		at = at.Add(pause) // half of it, and the random half
		b.lookAt(at.Add(-time.Second))
		if server.gets() != before {
			t.Errorf("asked again before the pause of %v was over", pause)
		}
	}
	if !strings.Contains(b.pull.words(), "tried again") {
		t.Errorf("it says %q", b.pull.words())
	}
	server.has(newBuild(t, b.by, 2).bundle(t))
	b.lookAt(at)
	b.wants(control.AskApply)
}

// A slow server keeps the board for longer than the pause: that begins when the server was given up.
func TestPauseBeginsAtTheEndOfTheFailedFetch(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	server.fails(http.StatusNotFound)
	at := noon
	server.first(func(*http.Request) { at = at.Add(time.Hour) })
	b.offers(server, "v2", true)
	look := func() int {
		b.look(t.Context(), func() time.Time { return at }, half)
		return server.gets()
	}
	before := look()
	at = at.Add(59 * time.Second)
	if got := look(); got != before {
		t.Error("asked again before the pause of 1 minute was over")
	}
	at = at.Add(time.Second)
	if got := look(); got == before {
		t.Error("not asked again after the pause")
	}
}

func TestVersionThatFailedHereIsNotFetchedAgain(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	v2 := newBuild(t, b.by, 2)
	server.has(v2.bundle(t))
	b.offers(server, "v2", true)
	b.lookAt(noon)
	b.wants(control.AskApply)
	b.fellBack(v2, "no frame was sent") // and camweb is started anew and sees the same offer
	b.pull.offer = offer.Offer{}
	b.lookAt(noon)
	b.lookAt(noon.Add(24 * time.Hour))
	b.wants(control.AskApply)
	if !strings.Contains(b.pull.words(), "no frame was sent") {
		t.Errorf("it says %q, want why the version is not tried again", b.pull.words())
	}
	// Another build may have the same name.
	again := newBuild(t, b.by, 3)
	again.manifest.Version = "v2"
	server.has(again.signed(t, b.by).bundle(t))
	b.pull.offer = offer.Offer{}
	b.lookAt(noon)
	b.wants(control.AskApply, control.AskApply)
	// And a person may push what failed.
	if code, answer := b.push(v2.bundle(t)); code != "200" {
		t.Errorf("push of what failed: %s %v", code, answer)
	}
}

// A board fell back from what a person pushed: the gateway's offer of it is not another chance.
func TestVersionThatFailedAfterAPushIsNotFetched(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	v2 := newBuild(t, b.by, 2)
	server.has(v2.bundle(t))
	if code, answer := b.push(v2.bundle(t)); code != "200" {
		t.Fatalf("push: %s %v", code, answer)
	}
	b.fellBack(v2, "no frame was sent")
	b.offers(server, "v2", true)
	b.lookAt(noon)
	b.wants(control.AskApply)
	if !strings.Contains(b.pull.words(), "no frame was sent") {
		t.Errorf("it says %q, want why the version is not tried", b.pull.words())
	}
}

// Process 1 remembers the latest version that failed; the ones before must not come round again.
func TestVersionThatFailedBeforeAnotherFailedIsNotFetched(t *testing.T) {
	for name, bring := range map[string]func(*testBoard, *updateServer, build){
		"both pushed": func(b *testBoard, _ *updateServer, v build) { b.push(v.bundle(t)) },
		"both fetched": func(b *testBoard, s *updateServer, v build) {
			s.has(v.bundle(t))
			b.offers(s, v.manifest.Version, true)
			b.lookAt(noon)
		},
		"pushed unsigned meanwhile": func(b *testBoard, _ *updateServer, v build) {
			if v.manifest.Version == "v2" {
				b.push(v.bundle(t))
				return
			}
			b.curl([]byte(squashfsMagic+"a root"), "--upload-file", "-", "/update/root")
			b.curl(nil, "--request", "POST", "/update/switch")
		},
	} {
		b, server := newPullBoard(t, takesRoots), newUpdateServer(t)
		v2, v3 := newBuild(t, b.by, 2), newBuild(t, b.by, 3)
		bring(b, server, v2)
		b.fellBack(v2, "no frame was sent")
		bring(b, server, v3)
		b.fellBack(v3, "its camera is missing")
		before := b.requests()
		server.has(v2.bundle(t))
		b.offers(server, "v2", true)
		b.lookAt(noon)
		b.wants(before...)
		if len(before) != 2 || !strings.Contains(b.pull.words(), "no frame was sent") {
			t.Errorf("%s: process 1 was asked %q before; it says %q", name, before, b.pull.words())
		}
	}
}

func TestVersionThatWasGivenUpIsNotFetched(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	v2 := newBuild(t, b.by, 2)
	server.has(v2.bundle(t))
	gaveUp := b.base()
	gaveUp.Trial = &control.Trial{Slot: "b", Version: "v2", Index: v2.manifest.Index,
		State: control.StateGivenUp, Tries: 3, Reason: "no gateway answered"}
	b.say(b.at, gaveUp)
	b.offers(server, "v2", true)
	b.lookAt(noon)
	b.wants()
	if !strings.Contains(b.pull.words(), "no gateway answered") {
		t.Errorf("it says %q, want why the version is not tried", b.pull.words())
	}
	// It is not forgotten either when another version takes its place.
	if code, answer := b.push(newBuild(t, b.by, 3).bundle(t)); code != "200" {
		t.Fatalf("push: %s %v", code, answer)
	}
	b.say(b.at, b.base())
	b.pull.offer = offer.Offer{}
	b.lookAt(noon)
	b.wants(control.AskApply)
}

// Whatever the reasons are, the file can be read again: else all that failed would be tried anew.
func TestAttemptsWithTheLongestEndingsAreReadAgain(t *testing.T) {
	b := newPullBoard(t)
	for name, c := range map[string]string{"six bytes of JSON for one": "\x01", "cut within a letter": "xä"} {
		var want attempts
		want.Format = attemptsFormat
		for i := range maxAttempts {
			v := fmt.Sprintf("%064d", i)
			want = want.ended(control.Status{Failed: &control.Failed{Version: v, Index: 1 << 60,
				Because: strings.Repeat(c, 400)}})
		}
		if err := b.keep(want); err != nil {
			t.Fatal(err)
		}
		if got := b.attempts(); !slices.Equal(got.Attempts, want.Attempts) {
			t.Errorf("%s: %d attempts are read, want the %d that were written", name, len(got.Attempts), maxAttempts)
		}
	}
}

func TestVersionThatNeverBeganIsTriedThreeTimes(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	server.has(newBuild(t, b.by, 2).bundle(t))
	b.offers(server, "v2", true)
	for range 5 { // the power is cut each time before process 1 noted the trial
		b.pull.offer = offer.Offer{}
		b.lookAt(noon)
	}
	b.wants(control.AskApply, control.AskApply, control.AskApply)
	if !strings.Contains(b.pull.words(), "fetched 3 times") {
		t.Errorf("it says %q", b.pull.words())
	}
}

func TestUpdateThatWaitsForItsNextTryIsNotFetched(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	v2 := newBuild(t, b.by, 2)
	server.has(v2.bundle(t))
	waits := b.base()
	waits.Trial = &control.Trial{Slot: "b", Version: "v2", Index: v2.manifest.Index, State: control.StateNotJudged}
	b.say(b.at, waits)
	b.offers(server, "v2", true)
	b.lookAt(noon)
	b.wants()
	again := newBuild(t, b.by, 3) // another build of this name waits for nothing
	again.manifest.Version = "v2"
	server.has(again.signed(t, b.by).bundle(t))
	b.pull.offer = offer.Offer{}
	b.lookAt(noon)
	b.wants(control.AskApply)
}

func TestOfferOfWhatMustNotRunIsSettledOnce(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	for what, bundle := range map[string][]byte{
		"signed by a stranger": newBuild(t, newSigner(t), 2).bundle(t),
		"older":                newBuild(t, b.by, 0).bundle(t),
	} {
		server.has(bundle)
		b.pull.offer = offer.Offer{}
		b.offers(server, "v2", true)
		b.lookAt(noon)
		before := server.gets()
		b.lookAt(noon.Add(24 * time.Hour))
		if server.gets() != before || !strings.Contains(b.pull.words(), "not taken") {
			t.Errorf("%s: asked again; it says %q", what, b.pull.words())
		}
	}
	b.wants()
}

// What a gateway offers no longer must not be applied, however far the fetch has come.
func TestOfferThatIsWithdrawnIsNeitherFetchedNorApplied(t *testing.T) {
	for _, c := range []struct {
		name  string
		every time.Duration // after which the offer is looked at
		at    int           // during which question it is withdrawn
		stall bool          // the server then says no more
	}{
		{"while the server says nothing", time.Millisecond, 1, true},
		{"within the root", time.Millisecond, 2, true},
		{"with the last byte", time.Hour, 2, false},
	} {
		b, server := newPullBoard(t), newUpdateServer(t)
		b.pull.every = c.every
		v2 := newBuild(t, b.by, 2)
		server.has(v2.bundle(t))
		server.first(func(r *http.Request) {
			if server.gets() != c.at {
				return
			}
			if err := offer.Remove(b.at.offer); err != nil {
				t.Error(err)
			}
			if c.stall {
				<-r.Context().Done()
			}
		})
		b.offers(server, "v2", true)
		b.lookAt(noon)
		b.wants()
		if server.gets() != c.at {
			t.Errorf("%s: %d questions, want %d", c.name, server.gets(), c.at)
		}
		b.lookAt(noon.Add(lookEvery))
		if words := b.pull.words(); words != "" {
			t.Errorf("%s: it says %q of what is not offered", c.name, words)
		}
		// Offered again, it goes on where it was.
		server.first(nil)
		b.offers(server, "v2", true)
		b.lookAt(noon.Add(2 * lookEvery))
		b.wants(control.AskApply)
	}
}

func TestOfferThatGivesWayToAnotherIsNotApplied(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	b.pull.every = time.Millisecond
	v3 := newBuild(t, b.by, 3)
	server.has(newBuild(t, b.by, 2).bundle(t))
	server.first(func(r *http.Request) {
		server.first(nil)
		b.offers(server, "v3", true)
		<-r.Context().Done()
	})
	b.offers(server, "v2", true)
	b.lookAt(noon)
	b.wants()
	server.has(v3.bundle(t))
	b.lookAt(noon.Add(lookEvery))
	b.wants(control.AskApply)
	if !b.spooled(v3) {
		t.Error("the update that is offered now is not in the spool")
	}
}

// A gateway signs each answer's URL anew: it is the same offer, and its pauses go on.
func TestOfferWhoseURLChangesWithEachAnswerIsOne(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	b.pull.every = time.Millisecond
	server.fails(http.StatusNotFound)
	n := 0
	look := func(at time.Time) {
		n++
		b.offersAt(server, fmt.Sprintf("?signature=%d", n), "v2", false)
		b.lookAt(at)
	}
	look(noon)
	look(noon.Add(20 * time.Minute))
	look(noon.Add(29 * time.Minute))
	if server.gets() != 0 {
		t.Errorf("%d questions before the moment came", server.gets())
	}
	look(noon.Add(31 * time.Minute)) // half an hour after the first one
	if got, want := server.queries(), []string{"signature=4"}; !slices.Equal(got, want) {
		t.Errorf("it asked with %q, want with the newest signature, %q", got, want)
	}
	at := noon.Add(31 * time.Minute)
	look(at.Add(59 * time.Second))
	look(at.Add(60 * time.Second)) // the second attempt
	look(at.Add(179 * time.Second))
	if server.gets() != 2 {
		t.Errorf("%d questions, want one after each pause", server.gets())
	}
	server.has(newBuild(t, b.by, 2).bundle(t))
	server.first(func(*http.Request) { b.offersAt(server, "?signature=of+the+next+answer", "v2", false) })
	look(at.Add(180 * time.Second))
	b.wants(control.AskApply)
	look(at.Add(24 * time.Hour)) // it is settled
	b.wants(control.AskApply)
}

func TestOfferThatIsNoneIsNotFetched(t *testing.T) {
	b, server := newPullBoard(t), newUpdateServer(t)
	for _, text := range []string{
		"", "{}", "[]", `{"url": "http://a.example/b", "version": "v2", "now": true}`, strings.Repeat("x", 300_000),
		`{"url": "file:///etc/passwd", "version": "v2", "now": true}`,
	} {
		b.write(b.at.offer, []byte(text))
		b.lookAt(noon)
	}
	if err := os.Remove(b.at.offer); err != nil {
		t.Fatal(err)
	}
	b.lookAt(noon)
	if server.gets() != 0 || b.pull.words() != "" {
		t.Errorf("%d questions; it says %q", server.gets(), b.pull.words())
	}
	b.wants()
}

// The clock is the test's: 10 MB at 1 MiB/s take 10 s, whoever sends how fast.
func TestPaceHoldsWhateverComes(t *testing.T) {
	at := noon
	flushes, asked := 0, 0
	worked := time.Duration(0)
	p := &pacer{rate: 1 << 20, share: 0.5, start: at,
		cpu: func() time.Duration {
			asked++
			return worked
		},
		now: func() time.Time { return at }, flush: func() { flushes++ },
		sleep: func(_ context.Context, d time.Duration) error {
			at = at.Add(d)
			return nil
		}}
	for range 10 << 20 / 4096 {
		if err := p.took(t.Context(), 4096); err != nil {
			t.Fatal(err)
		}
	}
	if took := at.Sub(noon); took < 9*time.Second || took > 10*time.Second || flushes != 5 {
		t.Errorf("10 MiB took %v and %d flushes, want 10 s and 5", took, flushes)
	}
	if most := 2 * 10 << 20 / burst; asked > most {
		t.Errorf("asked %d times for the processor's use, want twice for each burst, %d, at most", asked, most)
	}
	at = at.Add(time.Hour) // the sender was silent: that is not made up for
	before := at
	for range 1 << 20 / 4096 {
		if err := p.took(t.Context(), 4096); err != nil {
			t.Fatal(err)
		}
	}
	if took := at.Sub(before); took < 700*time.Millisecond {
		t.Errorf("1 MiB after an hour of silence took %v, want about a second", took)
	}
	before = at
	for range 1 << 20 / 4096 { // 256 pieces of 20 ms of work, of which half a core may do 25 in a second
		worked += 20 * time.Millisecond
		at = at.Add(20 * time.Millisecond)
		if err := p.took(t.Context(), 4096); err != nil {
			t.Fatal(err)
		}
	}
	if took := at.Sub(before); took < 10*time.Second || took > 16*time.Second {
		t.Errorf("5.1 s of work took %v, want 10.2 s, and the pieces' own time at most besides", took)
	}
}

// All cores are busy with what strangers ask of camweb: an update comes slowly, and comes to an end.
func TestStrangersDoNotStopAnUpdate(t *testing.T) {
	at := noon
	cores := func() time.Duration { return 4 * at.Sub(noon) }
	p := &pacer{rate: 1 << 20, share: 0.15, cpu: cores, start: at,
		now: func() time.Time { return at }, flush: func() {},
		sleep: func(_ context.Context, d time.Duration) error {
			if d > maxPause {
				t.Fatalf("a pause of %v", d)
			}
			at = at.Add(d)
			return nil
		}}
	for range 4 << 20 / (32 << 10) {
		at = at.Add(30 * time.Millisecond)
		if err := p.took(t.Context(), 32<<10); err != nil {
			t.Fatal(err)
		}
	}
	if took := at.Sub(noon); took > 70*time.Second {
		t.Errorf("4 MiB took %v", took)
	}
}

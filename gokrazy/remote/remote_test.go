package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/control"
)

func TestPasswordLeavesOnlyToTheKnownCertificate(t *testing.T) {
	b := newFakeBoard(t)
	c := b.client()
	if s, err := c.Status(t.Context()); err != nil || s.Version != "v1" {
		t.Fatalf("Status = %+v, %v", s, err)
	}
	c.Fingerprint = strings.Repeat("0", 64)
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrFingerprint) {
		t.Errorf("Status of another certificate: %v, want ErrFingerprint", err)
	}
	c.Fingerprint = ""
	if err := c.Reboot(t.Context()); !errors.Is(err, ErrFingerprint) {
		t.Errorf("Reboot without a fingerprint: %v, want ErrFingerprint", err)
	}
	if len(b.asked) != 1 {
		t.Errorf("the board was asked %q, want one question", b.asked)
	}
	got, err := FetchFingerprint(t.Context(), c.Host)
	if got != b.fingerprint || err != nil {
		t.Errorf("FetchFingerprint = %q, %v, want %q", got, err, b.fingerprint)
	}
}

func TestRefusalsAreInTheBoardsWords(t *testing.T) {
	b := newFakeBoard(t)
	c := b.client()
	b.refuse = "slot b is on trial:\nwait\x1b[2J"
	_, err := c.Update(t.Context(), newBundle(t), nil)
	var no *Refusal
	if !errors.As(err, &no) || no.Text != "slot b is on trial: wait [2J" || no.Code != 409 {
		t.Errorf("Update = %v, want the refusal without control characters", err)
	}
	c.Password = "wrong"
	if err := c.Promote(t.Context()); !errors.Is(err, ErrPassword) {
		t.Errorf("Promote = %v, want ErrPassword", err)
	}
	c.Password = ""
	if err := c.Promote(t.Context()); !errors.Is(err, ErrNoPassword) {
		t.Errorf("Promote = %v, want ErrNoPassword", err)
	}
	c.Host = unreachable(t)
	if err := c.Promote(t.Context()); err == nil || !strings.Contains(err.Error(), c.Host) {
		t.Errorf("Promote of nobody = %v, want an error that names the host", err)
	}
}

// after is what the board says once it has the bundle.
func (b *fakeBoard) after(edit ...func(*api.Status)) {
	s := b.status
	for _, e := range edit {
		e(&s)
		b.then = append(b.then, s)
	}
}

// triedAs is the trial of v2 in slot b.
func triedAs(state, reason string) *control.Trial {
	return &control.Trial{Slot: "b", Version: "v2", Index: 2, State: state, Reason: reason}
}

func onTrial(s *api.Status) {
	s.Version, s.Index, s.Slot, s.OnTrial = "v2", 2, "b", true
	s.Trial = triedAs(control.StateOnTrial, "")
	s.Trial.Tries, s.Trial.HeldS, s.Trial.NeedS = 1, 1, 5
}

// backOnA is what a board says after it went back: it looks first whether the old version does better.
func backOnA(s *api.Status) {
	s.Version, s.Index, s.Slot, s.OnTrial = "v1", 1, "a", false
	s.Trial = triedAs(control.StateJudging, "")
}

func TestUpdateSaysHowItEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		then   []func(*api.Status)
		result Result
		reason string
	}{
		{"promoted", []func(*api.Status){func(*api.Status) {}, onTrial, func(s *api.Status) {
			s.OnTrial, s.Promoted = false, "b"
			s.Trial = triedAs(control.StatePromoted, "")
		}}, ResultPromoted, ""},
		{"fell back", []func(*api.Status){onTrial, backOnA, func(s *api.Status) {
			s.Failed = &control.Failed{Version: "v2", Index: 2, Because: "no frame was sent", At: time.Unix(1, 0)}
			s.Trial = triedAs(control.StateFailed, "no frame was sent")
		}}, ResultFellBack, "no frame was sent"},
		{"fell back, by the trial alone", []func(*api.Status){onTrial, func(s *api.Status) {
			backOnA(s)
			s.Trial = triedAs(control.StateFailed, "panic")
		}}, ResultFellBack, "panic"},
		{"not judged", []func(*api.Status){onTrial, backOnA, func(s *api.Status) {
			s.Trial = triedAs(control.StateNotJudged, "no gateway")
		}}, ResultNotJudged, "no gateway"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newFakeBoard(t)
			// An older failure of the same version is not this one's.
			b.status.Failed = &control.Failed{Version: "v2", Index: 2, Because: "long ago", At: time.Unix(0, 0)}
			b.after(c.then...)
			var steps []string
			o, err := b.client().Update(t.Context(), newBundle(t), func(p Progress) {
				if len(steps) == 0 || steps[len(steps)-1] != p.Step {
					steps = append(steps, p.Step)
				}
			})
			if err != nil || o.Result != c.result || o.Reason != c.reason || o.Before != "v1" {
				t.Errorf("Update = %+v, %v, want %q because %q", o, err, c.result, c.reason)
			}
			want := []string{StepSending, StepWriting, StepRestarting, StepTrial}
			if !slices.Equal(steps[:min(4, len(steps))], want) {
				t.Errorf("steps %q, want %q", steps, want)
			}
		})
	}
}

// As where a gateway is still out at the second call: the trial that is over now and the one before are
// alike in everything.
func TestUpdateThatEndsAsTheOneBeforeHasEnded(t *testing.T) {
	b := newFakeBoard(t)
	notJudged := func(s *api.Status) { backOnA(s); s.Trial = triedAs(control.StateNotJudged, "no gateway") }
	notJudged(&b.status)
	// What it says last may be out of date by a second.
	b.after(func(*api.Status) {}, func(s *api.Status) { s.Trial = nil }, onTrial, notJudged)
	c := b.client()
	c.Patience = time.Minute
	o, err := c.Update(t.Context(), newBundle(t), nil)
	if err != nil || o.Result != ResultNotJudged || o.Reason != "no gateway" {
		t.Errorf("Update = %+v, %v, want not judged once more", o, err)
	}
}

// A board that is asked to try again what failed there has no result until it is through.
func TestResultIsOpenWhileABoardIsAtIt(t *testing.T) {
	s := newFakeBoard(t).status
	s.Failed = &control.Failed{Version: "v2", Index: 2, Because: "no picture"}
	for _, state := range []string{
		control.StateStaged, control.StateRequested, control.StateOnTrial, control.StateJudging} {
		s.Trial = triedAs(state, "")
		if r, _ := ResultOf(s, "v2", 2); r != ResultNone {
			t.Errorf("%s: %q, want none", state, r)
		}
	}
}

func TestUpdateSendsOnlyWhatTheBoardLacks(t *testing.T) {
	b := newFakeBoard(t)
	bundle := newBundle(t)
	b.have[bundle.Manifest.Root().SHA256] = true
	b.after(func(s *api.Status) { onTrial(s); s.OnTrial, s.Promoted = false, "b" })
	o, err := b.client().Update(t.Context(), bundle, nil)
	if err != nil || o.Sent != 300_004 || b.posts != 2 {
		t.Errorf("Update = %+v, %v in %d posts, want 300004 bytes in 2", o, err, b.posts)
	}
	o, err = b.client().Update(t.Context(), bundle, nil)
	if err != nil || o.Result != ResultAlready || b.posts != 2 {
		t.Errorf("once more: %+v, %v in %d posts, want that it is there", o, err, b.posts)
	}
}

func TestUpdateGoesOnWhereAConnectionBroke(t *testing.T) {
	b := newFakeBoard(t)
	b.breaks = []int64{0, 200_000, 0}
	b.after(func(s *api.Status) { onTrial(s); s.OnTrial, s.Promoted = false, "b" })
	o, err := b.client().Update(t.Context(), newBundle(t), nil)
	if err != nil || o.Result != ResultPromoted {
		t.Fatalf("Update = %+v, %v", o, err)
	}
	if b.skipped < 150_000 || b.skipped > 200_000 {
		t.Errorf("%d bytes were left out the second time, want what had come", b.skipped)
	}
}

const writing = "slot b is being written: root, 3 of 16 MB"

// As after a kill of camctl, or a connection that broke while the board writes: minutes, on a slow card.
func TestUpdateThatABoardIsWritingIsWatched(t *testing.T) {
	promoted := func(s *api.Status) { onTrial(s); s.OnTrial, s.Promoted = false, "b" }
	busy := func(s *api.Status) { s.Busy, s.Trial = writing, nil }
	tries := func(s *api.Status) { onTrial(s); s.Busy = "" }

	b := newFakeBoard(t)
	busy(&b.status)
	b.refuse, b.taken = "another update is being sent to this board: try again later", true
	b.after(busy, busy, tries, promoted)
	o, err := b.client().Update(t.Context(), newBundle(t), nil)
	if err != nil || o.Result != ResultPromoted || b.posts != 0 {
		t.Errorf("after a kill: Update = %+v, %v after %d bundles, want promoted by what it had", o, err, b.posts)
	}

	b = newFakeBoard(t)
	b.after(busy, busy, tries, promoted)
	b.breakWriting = true
	o, err = b.client().Update(t.Context(), newBundle(t), nil)
	if err != nil || o.Result != ResultPromoted || b.posts != 3 {
		t.Errorf("a broken connection: Update = %+v, %v after %d bundles, want promoted by 3", o, err, b.posts)
	}
}

// A server may refuse before it has read the body. Its answer must not be lost in an error of writing.
func TestRefusalOfABundleThatNobodyReadArrives(t *testing.T) {
	b := newFakeBoard(t)
	b.refuse = "slot b is on trial"
	bundle := newBundle(t)
	lost := 0
	const posts = 200
	for range posts {
		_, err := b.client().post(t.Context(), bundle, nil, func(Progress) {})
		var no *Refusal
		if !errors.As(err, &no) {
			lost++
			t.Log(err)
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d refusals were lost", lost, posts)
	}
}

func TestUpdateWaitsForABoardThatIsBusyWithSomethingElse(t *testing.T) {
	b := newFakeBoard(t)
	b.taken = true
	busy, idle := func(s *api.Status) { s.Busy = writing }, func(s *api.Status) { s.Busy = "" }
	b.after(busy, busy, idle, idle, onTrial, func(s *api.Status) { s.OnTrial, s.Promoted = false, "b" })
	c := b.client()
	c.Patience = time.Minute
	o, err := c.Update(t.Context(), newBundle(t), nil)
	if err != nil || o.Result != ResultPromoted || o.Sent == 0 {
		t.Errorf("Update = %+v, %v, want it sent and promoted", o, err)
	}
}

func TestUpdateEndsWhenTheBoardTriesAnotherOne(t *testing.T) {
	b := newFakeBoard(t)
	b.after(func(s *api.Status) {
		onTrial(s)
		s.Version, s.Trial.Version = "v3", "v3"
	})
	c := b.client()
	c.Patience = time.Minute
	o, err := c.Update(t.Context(), newBundle(t), nil)
	if err == nil || o.Result != ResultNone || !strings.Contains(err.Error(), "another update was brought to it: v3") {
		t.Errorf("Update: %+v, %v, want which one it tries", o, err)
	}
}

// As when a board loses its power in the middle, or its camweb hangs: TCP alone would wait for a quarter
// of an hour, or for ever.
func TestBoardThatTakesNothingMoreIsGivenUp(t *testing.T) {
	const soon, never = 50 * time.Millisecond, time.Minute
	for name, c := range map[string]struct {
		sending, writing time.Duration
		size             int // of the root
		hang             func(*http.Request)
		want             error
	}{
		// More than the buffers of both ends can hold: tcp_wmem and tcp_rmem, 4 and 32 MiB at most.
		"in the middle": {soon, never, 48 << 20, func(*http.Request) {}, errStalled},
		"at the end": {never, soon, 4,
			func(r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }, errNoAnswer},
	} {
		b := newFakeBoard(t)
		released := make(chan struct{})
		b.hang = func(r *http.Request) {
			c.hang(r)
			<-released
		}
		client := b.client()
		client.Stall, client.Writing = c.sending, c.writing
		bundle := bundleOf(t, strings.Repeat("root", c.size/4))
		root := []api.Missing{{SHA256: bundle.Manifest.Root().SHA256}}
		_, err := client.post(t.Context(), bundle, root, func(Progress) {})
		if c.want == errNoAnswer {
			if o, err := client.Update(t.Context(), bundle, nil); !errors.Is(err, c.want) || o.Result != ResultUnknown {
				t.Errorf("Update = %+v, %v, want that the end is unknown", o, err)
			}
		}
		close(released)
		if !errors.Is(err, c.want) || errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// The board goes on by itself, so it must not be said to lack something.
func TestInterruptWhileTheBoardWritesLeavesTheEndOpen(t *testing.T) {
	b := newFakeBoard(t)
	ctx, stop := context.WithCancel(t.Context())
	released := make(chan struct{})
	b.hang = func(r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		stop()
		<-released
	}
	bundle := bundleOf(t, "root")
	root := []api.Missing{{SHA256: bundle.Manifest.Root().SHA256}}
	_, err := b.client().post(ctx, bundle, root, func(Progress) {})
	close(released)
	if !errors.Is(err, errNoAnswer) || !errors.Is(err, context.Canceled) {
		t.Errorf("post: %v, want both that no answer came and why", err)
	}
}

func TestUpdateThatIsInterruptedGoesOnLater(t *testing.T) {
	b := newFakeBoard(t)
	b.after(onTrial)
	ctx, stop := context.WithCancel(t.Context())
	o, err := b.client().Update(ctx, newBundle(t), func(p Progress) {
		if p.Step == StepTrial {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || o.Result != ResultUnknown {
		t.Fatalf("Update = %+v, %v, want that the end is unknown", o, err)
	}
	posts := b.posts
	b.then = nil
	b.after(onTrial, func(s *api.Status) { s.OnTrial, s.Promoted = false, "b" })
	o, err = b.client().Update(t.Context(), newBundle(t), nil)
	if err != nil || b.posts != posts || o.Result != ResultPromoted {
		t.Errorf("Update = %+v, %v with %d posts, want promoted without sending anything", o, err, b.posts-posts)
	}
}

func TestBoardThatFallsSilentIsNotWaitedForForEver(t *testing.T) {
	b := newFakeBoard(t)
	b.after(onTrial)
	c := b.client()
	c.Patience = 1
	o, err := c.Update(t.Context(), newBundle(t), nil)
	if !errors.Is(err, errNoNews) || o.Result != ResultUnknown {
		t.Errorf("Update = %+v, %v, want errNoNews", o, err)
	}
}

func TestKnownBindsACardMadeHereToItsHosts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "krazycam", "boards.json")
	k := &Known{path: path, owner: nobody}
	a, b, stranger := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)
	check := func(host, fingerprint string, want bool, wantErr error) {
		t.Helper()
		if got, err := k.Recognise(host, fingerprint); got != want || !errors.Is(err, wantErr) {
			t.Errorf("Recognise(%s, %.4s) = %t, %v, want %t, %v", host, fingerprint, got, err, want, wantErr)
		}
	}
	if err := errors.Join(k.AddMade(a, time.Unix(1, 0)), k.AddMade(b, time.Unix(2, 0))); err != nil {
		t.Fatal(err)
	}
	check("cam", stranger, false, nil)
	check("cam", a, true, nil)
	check("cam:443", a, true, nil)
	check("cam", stranger, false, ErrFingerprint)
	check("10.0.0.7", a, true, nil) // the same board by another of its addresses
	check("10.0.0.7", a, true, nil)
	check("10.0.0.8", stranger, false, nil)
	check("cam", b, true, nil) // the card was made anew here
	check("cam", a, false, ErrFingerprint)
	if _, err := k.Recognise("cam", a); err == nil || !strings.Contains(err.Error(), "that of 10.0.0.7:443") {
		t.Errorf("another board of ours at a known address: %v, want which one it is", err)
	}
	if err := k.Remember("[::1]:8443", stranger); err != nil {
		t.Fatal(err)
	}
	check("[::1]:8443", stranger, true, nil)
	k = &Known{path: path, owner: nobody} // another process
	check("cam", b, true, nil)
	check("cam", a, false, ErrFingerprint)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte(`{"format": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Remember("x", a); err == nil {
		t.Error("a file of a later format was overwritten")
	}
}

func TestUpdateOnceDoesNotSendWhatTheBoardHasTriedBefore(t *testing.T) {
	for result, edit := range map[Result]func(*api.Status){
		ResultFellBack: func(s *api.Status) {
			s.Failed = &control.Failed{Version: "v2", Index: 2, Because: "no frame was sent"}
		},
		ResultNotJudged: func(s *api.Status) {
			s.Trial = triedAs(control.StateNotJudged, "no gateway")
		},
		ResultGivenUp: func(s *api.Status) {
			s.Trial = triedAs(control.StateGivenUp, "no gateway")
		},
		ResultAlready: func(s *api.Status) { s.Version, s.Index = "v2", 2 },
	} {
		b := newFakeBoard(t)
		edit(&b.status)
		c := b.client()
		c.Once = true
		if o, err := c.Update(t.Context(), newBundle(t), nil); err != nil || o.Result != result || b.posts != 0 {
			t.Errorf("Update = %+v, %v after %d bundles, want %q without one", o, err, b.posts, result)
		}
	}
}

// As when a fault was mended and the tag moved: only the index tells the two builds apart.
func TestUpdateOnceSendsAnotherBuildOfAVersionThatFailed(t *testing.T) {
	for name, edit := range map[string]func(*api.Status){
		"failed": func(s *api.Status) {
			s.Failed = &control.Failed{Version: "v2", Index: 1, Because: "no frame was sent"}
		},
		"a trial that failed": func(s *api.Status) {
			s.Trial = &control.Trial{Slot: "b", Version: "v2", Index: 1, State: control.StateFailed}
		},
		"not judged": func(s *api.Status) {
			s.Trial = &control.Trial{Slot: "b", Version: "v2", Index: 1, State: control.StateNotJudged}
		},
		"in the middle": func(s *api.Status) {
			s.Trial = &control.Trial{Slot: "b", Version: "v2", Index: 1, State: control.StateJudging}
		},
	} {
		b := newFakeBoard(t)
		edit(&b.status)
		b.after(func(s *api.Status) { onTrial(s); s.OnTrial, s.Promoted = false, "b" })
		c := b.client()
		c.Once = true
		o, err := c.Update(t.Context(), newBundle(t), nil)
		if err != nil || o.Result != ResultPromoted || b.posts != 2 {
			t.Errorf("%s: Update = %+v, %v after %d bundles, want it sent and promoted", name, o, err, b.posts)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A playedBoard answers as a board does: it takes every bundle, and then is what after says.
type playedBoard struct {
	host, fingerprint string

	mu     sync.Mutex
	status control.Status
	after  control.Status
	asked  []string
}

// newPlayedBoard starts one, and gives camctl a configuration folder of its own.
func newPlayedBoard(t *testing.T) *playedBoard {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("SUDO_UID", "")
	t.Setenv(passwordVariable, "")
	pair, err := certificate.Make()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	b := &playedBoard{status: control.Status{Version: "v1", Index: 1, Board: "rpi", Slot: "a", Promoted: "a",
		Serial: "serial", Rung: "sent"}}
	b.after = control.Status{Version: "v2", Index: 2, Board: "rpi", Slot: "b", Promoted: "b"}
	server := httptest.NewUnstartedServer(b)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	b.host = server.Listener.Addr().String()
	if b.fingerprint, err = pair.Fingerprint(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *playedBoard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r.Method+" "+r.URL.Path)
	_, password, _ := r.BasicAuth()
	owner := password == "sesame"
	var answer any = api.Done{OK: true}
	switch {
	case r.URL.Path == api.StatusPath && password == "":
		answer = api.Status{Status: control.Status{Version: b.status.Version}, PasswordSet: true}
	case !owner:
		w.WriteHeader(http.StatusUnauthorized)
		answer = api.Error{Error: "the password is wrong"}
	case r.URL.Path == api.StatusPath:
		answer = api.Status{Status: b.status, PasswordSet: true, Whole: true}
	case r.URL.Path == api.EventsPath:
		answer = api.Events{Events: []events.Event{
			{Seq: 7, At: time.Unix(0, 0), Kind: "start", Text: "power on"},
			{Seq: 8, At: time.Unix(60, 0), Kind: "fallback", Text: "v2 sent \x1b[2Jnothing"},
		}}
	case r.URL.Path == api.UpdatePath:
		n, _ := io.Copy(io.Discard, r.Body)
		b.status = b.after
		answer = api.Taken{Version: "v2", Index: 2, Received: n}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// bundleFile is one of version v2.
func bundleFile(t *testing.T) string {
	t.Helper()
	root := []byte("hsqs root")
	sum := sha256.Sum256(root)
	m := update.Manifest{Format: 1, Board: "rpi", Version: "v2", Index: 2, TrialS: 5, MinimumLayout: 1,
		Parts: []update.Part{{Name: "root", Size: int64(len(root)), SHA256: hex.EncodeToString(sum[:])}}}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = update.WriteBundle(&out, raw, []byte("signature"), m.Parts, func(update.Part) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(root)), nil
	})
	path := filepath.Join(t.TempDir(), "v2.update")
	if err := errors.Join(err, os.WriteFile(path, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBoardThatIsNotKnownGetsNoPassword(t *testing.T) {
	b := newPlayedBoard(t)
	t.Setenv(passwordVariable, "sesame")
	code, _, stderr := camctl(t, "reboot", b.host)
	if code != exitFailed || !strings.Contains(stderr, b.fingerprint) || !strings.Contains(stderr, "--fingerprint") {
		t.Errorf("exit code %d, %q, want what to compare and to give", code, stderr)
	}
	code, _, stderr = camctl(t, "reboot", b.host, "--fingerprint", strings.Repeat("00:", 31)+"00")
	if code != exitFailed || !strings.Contains(stderr, "another certificate") {
		t.Errorf("another fingerprint: exit code %d, %q", code, stderr)
	}
	if len(b.asked) > 0 {
		t.Errorf("the board was asked %q", b.asked)
	}
	code, stdout, stderr := camctl(t, "reboot", b.host, "--fingerprint", strings.ToUpper(b.fingerprint))
	if code != exitDone || stdout != b.host+": restarts\n" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, _, stderr := camctl(t, "promote", b.host); code != exitDone { // it is remembered
		t.Errorf("the second time: exit code %d, %q", code, stderr)
	}
	if want := []string{"POST " + api.RebootPath, "POST " + api.PromotePath}; !slices.Equal(b.asked, want) {
		t.Errorf("the board was asked %q, want %q", b.asked, want)
	}
}

func TestBoardOfACardMadeHereIsKnown(t *testing.T) {
	b := newPlayedBoard(t)
	known, err := remote.OpenUsersKnown()
	if err == nil {
		err = known.AddMade(b.fingerprint, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := camctl(t, "status", b.host, "--password-file", file)
	if code != exitDone || !strings.Contains(stdout, "serial") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, stdout, _ = camctl(t, "status", b.host); code != exitDone || strings.Contains(stdout, "  serial") ||
		!strings.Contains(stdout, "with the password") {
		t.Errorf("without the password: exit code %d, %q", code, stdout)
	}
	code, stdout, stderr = camctl(t, "status", b.host, "--events", "--password-file", file)
	for _, want := range []string{"  serial", "    1970-01-01 00:00:00  start     power on\n",
		"    1970-01-01 00:01:00  fallback  v2 sent"} {
		if code != exitDone || !strings.Contains(stdout, want) || strings.Contains(stdout, "\x1b") {
			t.Errorf("with --events: exit code %d, %q, %q, want %q", code, stdout, stderr, want)
		}
	}
	if code, _, stderr = camctl(t, "status", b.host, "--events"); code != exitFailed ||
		!strings.Contains(stderr, passwordVariable) {
		t.Errorf("events without a password: exit code %d, %q", code, stderr)
	}
	code, stdout, _ = camctl(t, "status", b.host, "--events", "--json", "--password-file", file)
	var answer struct{ Boards []statusReport }
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || len(answer.Boards) != 1 ||
		len(answer.Boards[0].Events) != 2 || answer.Boards[0].Events[1].Seq != 8 {
		t.Errorf("as JSON: exit code %d, %q, %v", code, stdout, err)
	}
	code, _, stderr = camctl(t, "promote", b.host)
	if code != exitFailed || !strings.Contains(stderr, passwordVariable) {
		t.Errorf("promote without a password: exit code %d, %q", code, stderr)
	}
	t.Setenv(passwordVariable, "wrong")
	code, _, stderr = camctl(t, "promote", b.host)
	if code != exitFailed || !strings.Contains(stderr, "password is wrong") {
		t.Errorf("promote with a wrong password: exit code %d, %q", code, stderr)
	}
}

func TestUpdateSaysWhatBecameOfEachBoard(t *testing.T) {
	b := newPlayedBoard(t)
	t.Setenv(passwordVariable, "sesame")
	file := bundleFile(t)
	code, stdout, stderr := camctl(t, "update", b.host, "--bundle", file, "--fingerprint", b.fingerprint)
	if code != exitDone || !strings.Contains(stdout, "promoted: v2 runs in slot b, before it v1") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr = camctl(t, "update", b.host, "--bundle", file, "--json")
	var result struct{ Boards []boardReport }
	if err := json.Unmarshal([]byte(stdout), &result); err != nil || code != exitDone || len(result.Boards) != 1 ||
		result.Boards[0].Result != "already there" {
		t.Errorf("once more: exit code %d, %q, %q, %v", code, stdout, stderr, err)
	}
	b.status = control.Status{Version: "v1", Index: 1, Slot: "a", Promoted: "a"}
	b.after = b.status
	b.after.Failed = &control.Failed{Version: "v2", Index: 2, Because: "no frame\x1b[2J", At: time.Unix(1, 0)}
	code, stdout, stderr = camctl(t, "update", b.host, "127.0.0.1:1", "--bundle", file, "--json")
	if err := json.Unmarshal([]byte(stdout), &result); err != nil || code != exitFailed || len(result.Boards) != 1 ||
		result.Boards[0].Result != "fell back" || !strings.HasSuffix(stderr, "fell back to v1: no frame\\x1b[2J\n") {
		t.Errorf("a fallback: exit code %d, %q, %q, %v", code, stdout, stderr, err)
	}
}

// The board tries a version that it gave up no more, so nobody is told to wait.
func TestUpdateThatABoardGaveUpSaysWhatToDo(t *testing.T) {
	b := newPlayedBoard(t)
	t.Setenv(passwordVariable, "sesame")
	for state, want := range map[string]string{
		control.StateNotJudged: "the board tries v2 again by itself",
		control.StateGivenUp:   "gave v2 up, and is back on v1",
	} {
		b.status = control.Status{Version: "v1", Index: 1, Slot: "a", Promoted: "a"}
		b.after = b.status
		b.after.Trial = &control.Trial{Version: "v2", Index: 2, State: state, Tries: 3, Reason: "no gateway"}
		code, stdout, stderr := camctl(t, "update", b.host, "--bundle", bundleFile(t), "--fingerprint", b.fingerprint)
		if code != exitFailed || !strings.Contains(stderr, want) || !strings.Contains(stderr, "no gateway") ||
			!strings.Contains(stderr, "camctl promote "+b.host) {
			t.Errorf("%s: exit code %d, %q, %q, want %q", state, code, stdout, stderr, want)
		}
	}
}

func TestUpdateThatIsInterruptedSaysWhatGoesOn(t *testing.T) {
	b := newPlayedBoard(t)
	t.Setenv(passwordVariable, "sesame")
	b.after = b.status
	b.after.Trial = &control.Trial{
		Version: "v2", Index: 2, State: control.StateOnTrial, HeldS: 1, NeedS: 60, Rung: "sent"}
	ctx, stop := context.WithCancel(t.Context())
	stderr := &stopper{stop: stop}
	var stdout bytes.Buffer
	args := []string{"update", b.host, "--bundle", bundleFile(t), "--fingerprint", b.fingerprint}
	if code := run(ctx, args, &stdout, stderr); code != exitFailed ||
		!strings.Contains(stderr.String(), "goes on by itself: camctl status "+b.host) {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// A stopper ends the verb once that says that the update is on trial.
type stopper struct {
	bytes.Buffer
	stop func()
}

func (s *stopper) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "on trial") {
		s.stop()
	}
	return s.Buffer.Write(b)
}

func TestFlashGivesACardPasswordAndTLSKey(t *testing.T) {
	image := tinyImage(t, t.TempDir())
	seed := []byte("\xef\xbb\xbf{\"gateway\": {\"url\": \"https://a.example\", \"key\": \"k\"}, \"web\": {}}\x00\x00")
	var f webFlags
	out, made, err := f.addTo(seed, imageDefaults(image))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ParseSeed(nil, "seed", out)
	if err != nil || c.Gateway.Key != "k" {
		t.Fatalf("seed %s: %v", out, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(c.Web.PasswordHash), []byte(made.Password)); err != nil ||
		len(made.Password) < 26 || strings.Contains(string(out), made.Password) {
		t.Errorf("password %q: %v", made.Password, err)
	}
	pair := certificate.Pair{Certificate: c.Web.TLSCertificate, Key: c.Web.TLSKey}
	if got, err := pair.Fingerprint(); err != nil || got != made.Fingerprint {
		t.Errorf("fingerprint %s, %v, want %s", made.Fingerprint, err, got)
	}
	if _, err := pair.TLS(); err != nil {
		t.Error(err)
	}
	again, kept, err := f.addTo(out, imageDefaults(image)) // what the seed says is left alone
	if err != nil || !bytes.Equal(again, out) || kept.Password != "" || kept.Fingerprint != made.Fingerprint {
		t.Errorf("a seed with all: %+v, %v", kept, err)
	}
	out, made, err = (&webFlags{none: true}).addTo(nil, imageDefaults(image))
	if out != nil || made != (madeWeb{}) || err != nil {
		t.Errorf("--no-web: %s, %+v, %v", out, made, err)
	}
}

func TestFlashTakesAPasswordAndRefusesAPairThatDoesNotFit(t *testing.T) {
	image, dir := tinyImage(t, t.TempDir()), t.TempDir()
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := webFlags{passwordFlags: passwordFlags{file}}
	out, made, err := f.addTo(nil, imageDefaults(image))
	if err != nil || made.Password != "" {
		t.Fatalf("%+v, %v: want no password shown", made, err)
	}
	c, err := config.ParseSeed(nil, "seed", out)
	if err != nil || bcrypt.CompareHashAndPassword([]byte(c.Web.PasswordHash), []byte("sesame")) != nil {
		t.Errorf("seed %s: %v", out, err)
	}
	a, errA := certificate.Make()
	b, errB := certificate.Make()
	seed, errSeed := json.Marshal(map[string]any{"web": map[string]string{"tls-certificate": a.Certificate,
		"tls-key": b.Key}})
	if err := errors.Join(errA, errB, errSeed); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.addTo(seed, imageDefaults(image)); err == nil || !strings.Contains(err.Error(), "do not fit") {
		t.Errorf("a pair that does not fit: %v", err)
	}
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 73), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.addTo(nil, imageDefaults(image)); err == nil || !strings.Contains(err.Error(), "72") {
		t.Errorf("a password of 73 bytes: %v", err)
	}
}

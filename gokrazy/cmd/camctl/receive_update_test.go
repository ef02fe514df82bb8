//go:build unix

// camctl receive --offer-update: twenty boards, which speak the real protocol over TLS, and fetch.

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/gokrazy/fleet/fleettest"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// signedBundle writes the bundle of v2, index 200. It gives its path and the key that signed it.
func signedBundle(t *testing.T, rootBytes int) (path, key string) {
	t.Helper()
	b, key := fleettest.Bundle(t, "v2", 200, rootBytes)
	path = filepath.Join(t.TempDir(), "v2.update")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, key
}

// A pullBoard is a board as the gateway sees it: it asks by camsource's own client, fetches what it is
// offered, checks it, tries it, and keeps it or goes back.
type pullBoard struct {
	is      wire.Board
	bad     bool // the new version does not work on it
	client  *gateway.Client
	http    *http.Client
	key     string // of updates
	id      wire.ID
	offer   *wire.Update
	have    []byte // of the bundle
	offers  int    // answers that had an offer
	trials  int
	resumed int // fetches that went on in the middle
}

func newPullBoard(t *testing.T, serial string, bad bool, url, apiKey, ca, updateKey string) *pullBoard {
	t.Helper()
	b := &pullBoard{bad: bad, key: updateKey, is: wire.Board{
		Serial: serial, Board: "rpi", Model: "Raspberry Pi 4 Model B Rev 1.4", Version: "v1", Index: 100,
	}}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca))
	b.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
	t.Cleanup(b.http.CloseIdleConnections)
	b.connect(t, url, apiKey, ca)
	return b
}

// connect is for a gateway that has another port after a restart.
func (b *pullBoard) connect(t *testing.T, url, apiKey, ca string) {
	t.Helper()
	client, err := gateway.NewClient(gateway.ClientConfig{
		URL: url, Key: apiKey, CA: ca,
		Board:   func() *wire.Board { is := b.is; return &is },
		Offered: func(u *wire.Update) { b.offer = u },
	})
	if err != nil {
		t.Fatal(err)
	}
	b.client = client
}

// ask is what a board does once a minute: it streams, or waits for its turn.
func (b *pullBoard) ask(ctx context.Context) error {
	if b.id.IsZero() {
		id, err := b.client.NewUtilizationID(ctx)
		if err != nil {
			return err
		}
		b.id = id
	}
	b.offer = nil
	_, err := b.client.StartStream(ctx, b.id, 640, 480)
	var refusal *wire.Refusal
	if errors.As(err, &refusal) && refusal.Code == wire.CodeAlreadyActive {
		err = nil
	}
	if err == nil && b.offer != nil {
		b.offers++
	}
	return err
}

// fetch goes on where it was; it breaks off after some bytes the first time.
func (b *pullBoard) fetch(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.offer.URL, nil)
	if err != nil {
		return err
	}
	if len(b.have) > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", len(b.have)))
	}
	got, err := b.http.Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	switch {
	case got.StatusCode == http.StatusPartialContent:
		b.resumed++
	case got.StatusCode == http.StatusNotFound: // it was stopped; the next answer says so, too
		return nil
	case got.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: HTTP %d", b.offer.URL, got.StatusCode)
	default:
		b.have = nil
	}
	body := io.Reader(got.Body)
	if len(b.have) == 0 {
		body = io.LimitReader(body, 5000)
	}
	part, _ := io.ReadAll(body) // if it breaks off, the next round goes on
	b.have = append(b.have, part...)
	return nil
}

// try does as init does with what came, and gives false until all of it is there.
func (b *pullBoard) try() (bool, error) {
	bundle, err := update.OpenBundle(bytes.NewReader(b.have), int64(len(b.have)))
	if err != nil {
		return false, nil
	}
	if err := update.Verify(bundle.Raw, bundle.Signature, []string{b.key}); err != nil {
		return false, err
	}
	if err := checkPartsOf(bundle); err != nil {
		return false, err
	}
	b.trials++
	b.is.Version, b.is.Index, b.is.Trial = bundle.Manifest.Version, bundle.Manifest.Index, true
	return true, nil
}

// checkPartsOf reads all of a bundle, as a board does.
func checkPartsOf(b *update.Bundle) error {
	for _, p := range b.Manifest.Parts {
		r, err := b.Open(p)
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, r)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		if hex.EncodeToString(sum.Sum(nil)) != p.SHA256 {
			return fmt.Errorf("part %s is damaged", p.Name)
		}
	}
	return nil
}

// judge ends a trial.
func (b *pullBoard) judge() {
	if !b.is.Trial {
		return
	}
	b.is.Trial = false
	if b.bad {
		b.is.FailedVersion, b.is.FailedBecause = b.is.Version, "no picture within 60 s"
		b.is.Version, b.is.Index = "v1", 100
	}
}

// live is a board for some rounds: asks, fetches, tries, says how it went.
func (b *pullBoard) live(ctx context.Context, rounds int) error {
	for range rounds {
		if err := b.ask(ctx); err != nil {
			return err
		}
		if b.offer == nil {
			b.judge()
			continue
		}
		if err := b.fetch(ctx); err != nil {
			return err
		}
		if tried, err := b.try(); err != nil || tried {
			if err != nil {
				return err
			}
			b.have = nil
		}
	}
	return nil
}

// A receiveProcess is camctl receive, as a process that can be killed.
type receiveProcess struct {
	cmd      *exec.Cmd
	url, key string
	lines    chan string // stdout, closed at its end
}

const receiveArguments = "KRAZYCAM_RECEIVE_ARGUMENTS"

// TestReceiveProcess is that process.
func TestReceiveProcess(t *testing.T) {
	args := os.Getenv(receiveArguments)
	if args == "" {
		return
	}
	ctx, stop := untilTold()
	defer stop()
	os.Exit(run(ctx, strings.Fields(args), os.Stdout, os.Stderr))
}

func startReceiveProcess(t *testing.T, args ...string) *receiveProcess {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestReceiveProcess$")
	args = append(strings.Fields("receive --listen 127.0.0.1:0 --rtp 0 --rtcp 0 --tls --json"), args...)
	cmd.Env = append(os.Environ(), receiveArguments+"="+strings.Join(args, " "))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &receiveProcess{cmd: cmd, lines: make(chan string, 1000)}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			select {
			case p.lines <- s.Text():
			default: // nobody reads them at present
			}
		}
	}()
	said := bufio.NewScanner(stderr)
	for said.Scan() && !strings.HasPrefix(said.Text(), "recordings: ") {
		if m := receiveReady.FindStringSubmatch(said.Text()); m != nil {
			p.url = m[1]
		}
		if key, is := strings.CutPrefix(said.Text(), "key: "); is {
			p.key = key
		}
	}
	go func() {
		for said.Scan() {
		}
	}()
	if p.url == "" {
		t.Fatalf("no ready line; camctl receive ended with %v", cmd.Wait())
	}
	return p
}

// end sends a signal and waits.
func (p *receiveProcess) end(t *testing.T, how os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(how); err != nil {
		t.Fatal(err)
	}
	for range p.lines {
	}
	_ = p.cmd.Wait() // killed, or told to end
}

// counts waits until what camctl receive says of the update is ok.
func (p *receiveProcess) counts(t *testing.T, ok func(rollout.Counts) bool) rollout.Counts {
	t.Helper()
	var last string
	deadline := time.After(time.Minute)
	for {
		select {
		case line, open := <-p.lines:
			var row second
			if err := json.Unmarshal([]byte(line), &row); !open || err != nil || row.Update == nil {
				t.Fatalf("line %q: %v, want one with the update; before came %s", line, err, last)
			}
			if last = line; ok(*row.Update) {
				return *row.Update
			}
		case <-deadline:
			t.Fatalf("it says at last: %s", last)
		}
	}
}

// liveAll lets boards live at the same time.
func liveAll(t *testing.T, boards []*pullBoard, rounds int) {
	t.Helper()
	var all sync.WaitGroup
	// The gateway takes 32 connections of one host: 20 that idle, and two of each board that is at it.
	places := make(chan struct{}, 4)
	for _, b := range boards {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := b.live(t.Context(), rounds); err != nil {
				t.Errorf("board %s: %v", b.is.Serial, err)
			}
		})
	}
	all.Wait()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// makeFleet makes 20 boards, of which those with the numbers in bad do not bear the new version.
func makeFleet(t *testing.T, p *receiveProcess, ca, key string, bad ...int) []*pullBoard {
	t.Helper()
	var boards []*pullBoard
	for i := range 20 {
		isBad := false
		for _, n := range bad {
			isBad = isBad || n == i
		}
		boards = append(boards, newPullBoard(t, fmt.Sprintf("10000000%08x", i), isBad, p.url, p.key, ca, key))
	}
	return boards
}

// All twenty get it, through a gateway that is killed in the middle; three fall back. Nobody tries it
// twice, and a fetch goes on where it was.
func TestTwentyBoardsFetchAnUpdateThroughAGatewayThatIsKilled(t *testing.T) {
	bundle, key := signedBundle(t, 100_000)
	state := t.TempDir()
	args := []string{"--state", state, "--offer-update", bundle, "--update-now"}
	p := startReceiveProcess(t, args...)
	ca := readFile(t, filepath.Join(state, "gateway-cert.pem"))
	boards := makeFleet(t, p, ca, key, 3, 11, 17)
	liveAll(t, boards[:12], 1) // half of the bundle
	liveAll(t, boards[:5], 3)  // the rest, the trial, its end
	p.counts(t, func(c rollout.Counts) bool { return c.Promoted == 4 && c.FellBack == 1 && c.Fetching == 7 })
	p.end(t, os.Kill)

	again := startReceiveProcess(t, append(args, "--key", p.key)...)
	for _, b := range boards {
		b.connect(t, again.url, p.key, ca)
	}
	liveAll(t, boards, 5)
	c := again.counts(t, func(c rollout.Counts) bool { return c.Promoted+c.FellBack == 20 })
	if c.Promoted != 17 || c.FellBack != 3 || c.Stopped {
		t.Errorf("%+v, want 17 promoted and 3 that fell back", c)
	}
	again.end(t, os.Interrupt)
	for _, b := range boards {
		want := wire.Board{Version: "v2"}
		if b.bad {
			want = wire.Board{Version: "v1", FailedVersion: "v2"}
		}
		if b.is.Version != want.Version || b.is.FailedVersion != want.FailedVersion || b.trials != 1 || b.resumed == 0 {
			t.Errorf("board %s: runs %s, failed %q, %d trials, %d resumed; want %s, %q, 1 trial",
				b.is.Serial, b.is.Version, b.is.FailedVersion, b.trials, b.resumed, want.Version, want.FailedVersion)
		}
	}
}

// Three bad boards stop it: no board hears of it after that, a restart included.
func TestUpdateStopsAfterThreeBoardsFellBack(t *testing.T) {
	bundle, key := signedBundle(t, 20_000)
	state := t.TempDir()
	args := []string{"--state", state, "--offer-update", bundle, "--stop-after", "3"}
	p := startReceiveProcess(t, args...)
	ca := readFile(t, filepath.Join(state, "gateway-cert.pem"))
	boards := makeFleet(t, p, ca, key, 0, 1, 2)
	liveAll(t, boards[:6], 5)
	if c := p.counts(t, func(c rollout.Counts) bool { return c.Stopped }); c.FellBack != 3 || c.Promoted > 3 {
		t.Errorf("%+v", c)
	}
	p.end(t, os.Interrupt)
	again := startReceiveProcess(t, append(args, "--key", p.key)...)
	for _, b := range boards {
		b.connect(t, again.url, p.key, ca)
		b.offers = 0
	}
	liveAll(t, boards, 3)
	for _, b := range boards {
		if b.offers != 0 {
			t.Errorf("board %s was offered the update after the stop", b.is.Serial)
		}
	}
	if c := again.counts(t, func(rollout.Counts) bool { return true }); !c.Stopped {
		t.Errorf("%+v after a restart, want stopped", c)
	}
	again.end(t, os.Interrupt)
}

// The same boards are chosen by each process, and by a larger share.
func TestShareOfTheFleetIsStable(t *testing.T) {
	bundle, key := signedBundle(t, 20_000)
	var before map[string]bool
	for _, share := range []string{"30%", "30%", "60%"} {
		state := t.TempDir() // nothing is remembered
		p := startReceiveProcess(t, "--state", state, "--offer-update", bundle, "--share", share)
		boards := makeFleet(t, p, readFile(t, filepath.Join(state, "gateway-cert.pem")), key)
		liveAll(t, boards, 1)
		chosen := map[string]bool{}
		for _, b := range boards {
			if b.offers > 0 {
				chosen[b.is.Serial] = true
			}
		}
		p.end(t, os.Interrupt)
		if len(chosen) == 0 || len(chosen) == 20 {
			t.Fatalf("%s: %d of 20 boards", share, len(chosen))
		}
		for serial := range before {
			if !chosen[serial] {
				t.Errorf("%s: board %s is not chosen any more", share, serial)
			}
		}
		if before != nil && share == "30%" && len(chosen) != len(before) {
			t.Errorf("%s: %d boards, then %d", share, len(before), len(chosen))
		}
		before = chosen
	}
}

func TestUpdateThatCannotBeOfferedIsSaidBeforeAnythingIsOpened(t *testing.T) {
	bundle, _ := signedBundle(t, 20_000)
	text := []byte(readFile(t, bundle))
	text[len(text)-3000] ^= 1 // in the root
	damaged := filepath.Join(t.TempDir(), "damaged.update")
	if err := os.WriteFile(damaged, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.update")
	if err := os.WriteFile(cut, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no https", []string{"--offer-update", bundle}, exitUsage, "boards fetch over https only"},
		{"elsewhere over http", []string{"--offer-update", bundle, "--update-url", "http://u.example/f"}, exitUsage,
			"must begin with https:"},
		{"a share of nothing", []string{"--tls", "--offer-update", bundle, "--share", "0%"}, exitUsage, "percentage"},
		{"a share that is no percentage", []string{"--tls", "--offer-update", bundle, "--share", "0.5"},
			exitUsage, "5%"},
		{"less than no boards", []string{"--tls", "--offer-update", bundle, "--stop-after", "-1"},
			exitUsage, "0 or more"},
		{"a share of no update", []string{"--share", "5%"}, exitUsage, "belongs to --offer-update"},
		{"no file", []string{"--tls", "--offer-update", cut + "x"}, exitFailed, "no such file"},
		{"a cut bundle", []string{"--tls", "--offer-update", cut}, exitFailed, cut},
		{"a damaged bundle", []string{"--tls", "--offer-update", damaged}, exitFailed, "part root: damaged"},
	} {
		code, _, stderr := camctl(t, append([]string{"receive", "--state", t.TempDir(), "--listen", "127.0.0.1:0",
			"--rtp", "0", "--rtcp", "0"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit code %d, %q, want %d and %q", c.name, code, stderr, c.code, c.says)
		}
	}
}

// Without --json an operator sees a line when something changed.
func TestProgressOfAnUpdateIsALineWhenItChanges(t *testing.T) {
	bundle, key := signedBundle(t, 20_000)
	state := t.TempDir()
	r := startReceive(t, "--state", state, "--tls", "--offer-update", bundle)
	b := newPullBoard(t, "s1", false, r.url, r.key, readFile(t, filepath.Join(state, "gateway-cert.pem")), key)
	if err := b.live(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	for {
		select {
		case line := <-r.lines:
			if line == "update v2: offered 0, fetching 0, on trial 0, promoted 1, fell back 0" {
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				return
			}
		case <-deadline:
			t.Fatal("no line says that the board has it")
		}
	}
}

//go:build long

// A board fetches an update that its gateway offers, beside its stream: the whole way, from the answer of
// the gateway to the new version that stays.

package rig

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/bundle"
	"github.com/krazycam/krazycam/farend/farendtest"
	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/rollout"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// fetchedMB is what the board lacks of the new version, in MiB; with the rest of the slot's folder it fits
// its share of the boot partition.
const fetchedMB = 45

// A pullDesk is a gateway over https for the rig's receiver, with a server of updates beside it.
type pullDesk struct {
	url string // for the board
	ca  string
}

// startPullDesk serves it until the test ends. files gets the paths below rollout.PathPrefix.
func startPullDesk(t *testing.T, u *updatable, files http.Handler,
	offer func(ctx context.Context, key string, board wire.Board, host string) *wire.Update) *pullDesk {
	t.Helper()
	dir := t.TempDir()
	pair, err := gateway.SelfSigned(dir, []string{"10.0.2.2"}, time.Now(), slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(gateway.CertificatePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	asked := farendtest.New(t, farendtest.Config{Key: rigKey, Server: u.far, KeepAlive: 5 * time.Second, Offer: offer})
	web := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0), // boards hang up
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, rollout.PathPrefix) {
				files.ServeHTTP(w, r)
				return
			}
			asked.Gateway.ServeHTTP(w, r)
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	t.Cleanup(func() {
		web.Close()
		<-ended
	})
	return &pullDesk{fmt.Sprintf("https://10.0.2.2:%d/", listener.Addr().(*net.TCPAddr).Port), string(ca)}
}

// A rolledOut is a bundle that a gateway offers once it is opened.
type rolledOut struct {
	store *store.Store
	offer store.Offer
}

// rollOut starts a gateway that can offer a bundle.
func rollOut(t *testing.T, u *updatable, b *update.Bundle, f *os.File) *rolledOut {
	t.Helper()
	st, err := sqlite.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = st.AddCustomer(t.Context(), store.Customer{Name: "rig", KeyHash: store.HashKey(rigKey), Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	m := b.Manifest
	d := &rolledOut{store: st, offer: store.Offer{
		Bundle: f.Name(), Version: m.Version, Board: m.Board, Index: m.Index, Share: 1, Now: true,
	}}
	if d.offer.ID, err = st.AddOffer(t.Context(), d.offer); err != nil {
		t.Fatal(err)
	}
	r := rollout.NewRollouts(rollout.RolloutsConfig{
		Store: st, Open: bundle.Open, Secure: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	startPullDesk(t, u, r, r.Offer).askHere(t, u)
	return d
}

// open has the boards offered the bundle from now on.
func (d *rolledOut) open(t *testing.T) {
	t.Helper()
	d.offer.Enabled = true
	if err := d.store.UpdateOffer(t.Context(), d.offer); err != nil {
		t.Fatal(err)
	}
}

// board is what became of the only board; of one that was offered nothing, nothing.
func (d *rolledOut) board(t *testing.T) store.OfferBoard {
	t.Helper()
	all, err := d.store.OfferBoards(t.Context(), d.offer.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return store.OfferBoard{}
	}
	return all[0]
}

// askHere writes the seed of a board that asks this gateway.
func (d *pullDesk) askHere(t *testing.T, u *updatable) {
	t.Helper()
	pair, err := certificate.Make()
	if err != nil {
		t.Fatal(err)
	}
	if u.client.Fingerprint, err = pair.Fingerprint(); err != nil {
		t.Fatal(err)
	}
	seed := u.updatableSeed(t, u.signer.public, pair, map[string]any{
		"gateway": map[string]any{"url": d.url, "key": rigKey, "ca": d.ca},
	})
	if !json.Valid(seed) {
		t.Fatalf("seed %s", seed)
	}
	if err := card.WriteSeed(u.card, seed); err != nil {
		t.Fatal(err)
	}
}

// A streamSample is the stream over some time.
type streamSample struct {
	lost   int64
	delays []time.Duration // means of a fifth of a second each, from capture to whole frame
}

// watchStream samples until done says so.
func (u *updatable) watchStream(ctx context.Context, t *testing.T, done func() bool) (s streamSample) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	begin := u.far.Stats()
	before := begin
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("the update took too long")
		case <-tick.C:
		}
		now := u.far.Stats()
		if !now.Begun.Equal(begin.Begun) {
			return s // the board restarts
		}
		if n := now.DelayCount - before.DelayCount; n > 0 {
			s.delays = append(s.delays, (now.DelaySum-before.DelaySum)/time.Duration(n))
		}
		s.lost, before = now.Lost-begin.Lost, now
	}
	return s
}

func (s streamSample) p95() time.Duration {
	if len(s.delays) == 0 {
		return 0
	}
	slices.Sort(s.delays)
	return s.delays[len(s.delays)*95/100]
}

func TestABoardFetchesAnUpdateBesideItsStreamInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	filler := make([]byte, fetchedMB<<20)
	_, _ = rand.Read(filler) // never fails
	b, f := u.signer.bundleFile(t, u.content.withMark("pulled").withBoot("overlays/filler.dtbo", filler), "v-pulled")
	d := rollOut(t, u, b, f)
	u.start(ctx, t, vm.Config{})
	u.streams(ctx, t, "a")
	calm := time.Now().Add(15 * time.Second)
	before := u.watchStream(ctx, t, func() bool { return time.Now().After(calm) })
	d.open(t)
	phase := func() rollout.Phase { return rollout.Phase(d.board(t).Phase) }
	u.watchStream(ctx, t, func() bool { return phase() == rollout.Fetching })
	began, grown, bytes := time.Now(), time.Now(), int64(0)
	during := u.watchStream(ctx, t, func() bool { // until the board restarts
		if n := d.board(t).Bytes; n > bytes {
			bytes, grown = n, time.Now()
		}
		return phase() != rollout.Fetching
	})
	t.Logf("FIGURE rpi: %d MiB and the root fetched beside the stream in %.1f s, written and read back after %.1f s; "+
		"packets lost meanwhile: %d; delay p95 %.0f ms, before %.0f ms", fetchedMB, grown.Sub(began).Seconds(),
		time.Since(began).Seconds(), during.lost, 1000*during.p95().Seconds(), 1000*before.p95().Seconds())
	if during.lost != 0 || before.lost != 0 {
		t.Errorf("%d packets were lost while the board fetched and wrote, %d before", during.lost, before.lost)
	}
	if limit := 2*before.p95() + 20*time.Millisecond; during.p95() > limit {
		t.Errorf("delay p95 %v while the board fetched and wrote, %v before: want %v at most",
			during.p95(), before.p95(), limit)
	}
	if s := u.streams(ctx, t, "b"); s.Version != "v-pulled" || s.Failed != nil {
		t.Errorf("the board runs %s, failed %+v, want v-pulled", s.Version, s.Failed)
	}
	tick := time.NewTicker(time.Second) // it says so with its next validate_stream
	defer tick.Stop()
	for phase() != rollout.Promoted {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the gateway knows the board as %+v", d.board(t))
		}
	}
}

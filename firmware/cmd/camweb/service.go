// The service: what it knows, and that it serves and fetches until it is told to end.

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/webui"
	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// A service answers requests, and fetches what the gateway offers.
type service struct {
	at          places
	log         *slog.Logger
	update      config.Update
	guard       *webui.Guard
	fingerprint string
	spool       *update.Spool // nil: it cannot be used, and spoolErr says why
	spoolErr    error
	intake      intake
	silence     time.Duration // of a sender, at most
	staged      stagedRoot
	pull        puller
	dial        dialer // of update servers; nil: package pull's, which reaches no address of the board itself
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func newService(at places, c config.Config, pair certificate.Pair, log *slog.Logger) (*service, error) {
	fingerprint, err := pair.Fingerprint()
	if err != nil {
		return nil, err
	}
	s := &service{
		at: at, log: log, update: c.Update, fingerprint: fingerprint,
		guard: webui.NewGuard(api.User, c.Web.PasswordHash, now),
	}
	s.intake.turn = make(chan struct{}, 1)
	s.silence = maxSilence
	s.pull.every = lookEvery
	if s.spool, s.spoolErr = update.MakeSpool(at.spool); s.spoolErr != nil {
		log.Error("this board can take no update", "error", s.spoolErr)
	}
	return s, nil
}

// lastAnswers is how long a request that is being answered may take after the end was asked for: a
// service that does not end is killed, and the board waits for it.
const lastAnswers = 2 * time.Second

// serve answers until ctx ends, and fetches meanwhile.
func (s *service) serve(ctx context.Context, l net.Listener, cert tls.Certificate) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := webui.NewServer(cert, s.site())
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	pulled := make(chan struct{})
	go func() {
		defer close(pulled)
		s.pullOffers(ctx)
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), lastAnswers)
		defer stop()
		if server.Shutdown(last) != nil {
			_ = server.Close()
		}
	}()
	err := server.ServeTLS(webui.LimitListener(l), "", "")
	cancel()
	<-ended
	<-pulled
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// site lists what can be asked.
func (s *service) site() *webui.Site {
	endpoints := []webui.Endpoint{
		{Method: "GET", Path: api.StatusPath, Open: true, Handle: s.answerStatus},
		{Method: "GET", Path: api.EventsPath, Handle: s.answerEvents},
		{Method: "GET", Path: api.ManifestPath, Handle: s.answerManifests},
		{Method: "POST", Path: api.UpdatePath, Handle: s.takeBundle},
		{Method: "POST", Path: api.PromotePath, Handle: s.promote},
		{Method: "POST", Path: api.RebootPath, Handle: s.reboot},
	}
	if s.update.Gokrazy {
		endpoints = append(endpoints, s.gokrazyEndpoints()...)
	}
	return &webui.Site{Guard: s.guard, Endpoints: endpoints, Log: s.log}
}

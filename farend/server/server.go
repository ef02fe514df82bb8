// Package server puts the far end together: gateway, receiver, recordings, what several servers say to each
// other, and the end of all of that in its order. camserver is this package with settings of a file and a
// database; camctl receive is it with the defaults of a desk.
//
// A Server owns its listeners and sockets, the database that it was given, the lock of the state folder, and
// one goroutine for each duty while Run runs. It ends none of them before what they wrote is kept.
//
// What the programs do not share comes in by Config: which database, what else takes streams, what answers
// operators.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/farend/videoserver"
	"github.com/krazycam/krazycam/farend/webm"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Config is a server's settings, and what its program adds.
type Config struct {
	settings.Settings
	Program, Version string
	PortsHint        string // what to do about UDP ports that are taken
	Log              *slog.Logger

	// OpenStore opens the database, which becomes the server's.
	OpenStore func(ctx context.Context) (*store.Store, error)

	// Parts makes what the program adds, once database and receiver are open.
	Parts func(s *Server) (Parts, error)
}

// RecordFolder is where streams are recorded; "": nowhere.
func (c *Config) RecordFolder() string {
	if c.Record.Folder == "" || filepath.IsAbs(c.Record.Folder) {
		return c.Record.Folder
	}
	return filepath.Join(c.State.Folder, c.Record.Folder)
}

// Parts are what a program adds to a server. What is nil is not there.
type Parts struct {
	// Sinks makes what takes a stream beside its recording. It must not wait.
	Sinks func(g stream.Grant, names Names) []stream.Sink

	// Offer is as in gateway.Config.
	Offer func(ctx context.Context, keyHash string, b wire.Board, host string) *wire.Update

	// Gateway wraps what answers at Settings.Gateway.Listen.
	Gateway func(http.Handler) http.Handler

	Operator http.Handler            // answers at Settings.Operator.Listen
	Duties   []func(context.Context) // run while the server does

	// Close is called after all streams are over.
	Close func(ctx context.Context)
}

// DatabaseFile is the name of SQLite's file in a state folder.
const DatabaseFile = "krazycam.db"

// OldIDs is where camctl receive kept utilization ids before it had a database.
const OldIDs = "utilization_ids.json"

// Names are what people call a stream's customer and source; "" if nobody named it.
type Names struct{ Customer, Source string }

// A Server is open until Run has ended.
type Server struct {
	config   Config
	parts    Parts
	log      *slog.Logger
	name     string
	instance string // what tells this server from another of its name; "": nobody shares the database
	url      string // of the gateway, as boards reach it
	ca       string // the certificate that boards must trust; ""
	store    *store.Store
	receiver *receiver.Server
	streams  *streams
	local    *videoserver.Local
	cluster  *videoserver.Cluster
	control  *tls.Config // of the listener for other servers; nil: nobody asks
	gateway  *gateway.Gateway
	library  *webm.Library // nil: nothing is recorded
	stats    *store.StatsWriter
	cert     *certificate // nil: its files do not change
	beat     videoserver.Announcer
	doors    []*door
	undo     []func() // what Open has done, in its order
	ran      bool     // Run was called
}

// Config is what the server was opened with.
func (s *Server) Config() Config { return s.config }

// Name is what the server is called among those that share its database.
func (s *Server) Name() string { return s.name }

// URL is that of the gateway, as boards reach it.
func (s *Server) URL() string { return s.url }

// Ports are where streams arrive, as HOST:PORT; of a pool the first and the last.
func (s *Server) Ports() (rtp, rtcp string) {
	a, b := s.receiver.Ports()
	if pool := s.config.Settings.Receiver.Ports; pool.First != 0 {
		a, b = pool.First, pool.Last
	}
	at := func(port int) string { return net.JoinHostPort(s.listenHost(), strconv.Itoa(port)) }
	return at(a), at(b)
}

// Seed is the krazycam.json of a board that asks this server with key.
func (s *Server) Seed(key string) string { return Seed(s.url, key, s.ca) }

// SeedVM is the same for a board that reaches this machine by QEMU's own network.
func (s *Server) SeedVM(key string) string {
	gate := s.doors[0]
	return Seed(gate.scheme()+"://"+net.JoinHostPort(VMHost, gate.port())+"/", key, s.ca)
}

// Store is the database.
func (s *Server) Store() *store.Store { return s.store }

// Receiver has the streams of this process.
func (s *Server) Receiver() *receiver.Server { return s.receiver }

// Recordings is nil where nothing is recorded.
func (s *Server) Recordings() *webm.Library { return s.library }

// Cluster has the video servers of all processes.
func (s *Server) Cluster() *videoserver.Cluster { return s.cluster }

// Running appends the streams of this process.
func (s *Server) Running(to []Running) []Running { return s.streams.running(to) }

// Close gives back what Open took. Run does so itself.
func (s *Server) Close() {
	for len(s.undo) > 0 {
		last := len(s.undo) - 1
		s.undo[last]()
		s.undo = s.undo[:last]
	}
}

// statsInterval is how often the figures of streams are kept.
const statsInterval = 5 * time.Second

// Run answers until ctx ends, or until something fails that all depends on. Then it ends in order, within
// 5 s: each step has a limit of its own, so that a database that hangs costs neither recordings nor answers.
// It may be called once.
func (s *Server) Run(ctx context.Context) error {
	s.ran = true
	defer s.Close()
	kept := context.WithoutCancel(ctx)
	media, endMedia := context.WithCancel(kept)
	defer endMedia()
	duties, endDuties := context.WithCancel(kept)
	defer endDuties()
	beats, endBeats := context.WithCancel(kept)
	defer endBeats()

	failed := make(chan error, len(s.doors)+1)
	var mediaRuns, dutiesRun, doorsRun, beatsRun sync.WaitGroup
	mediaRuns.Go(func() { failed <- s.receiver.Run(media) })
	for _, d := range s.doors {
		doorsRun.Go(func() { failed <- d.serve() })
	}
	beatsRun.Go(func() { s.beat.Run(beats) })
	for _, duty := range append([]func(context.Context){
		s.local.Run, s.gateway.Run, s.stats.Run, s.keepStats, s.prune, s.cert.watchFiles,
	}, s.parts.Duties...) {
		dutiesRun.Go(func() { duty(duties) })
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.log.Info("server: ends")
	endBeats() // the others send nobody here any more
	s.endStreams(func() { endMedia(); mediaRuns.Wait() })
	err = errors.Join(err, s.finish(kept))
	doorsRun.Wait()
	s.noteEnd(kept)
	endDuties() // the last of which writes what streams counted
	dutiesRun.Wait()
	beatsRun.Wait()
	return err
}

// The limits of the end: finishLimit + noteLimit + 1 s for the last batch of statistics = 4 s. A service is
// killed after 10 s as a rule.
const (
	finishLimit = 2 * time.Second // of recordings and forwardings
	doorLimit   = time.Second     // of requests that were read before the end
	noteLimit   = time.Second     // of the database, to note that the streams are over
)

// endStreams says goodbye to all sources and keeps the last figures of their streams. The receiver remembers
// a few hundred streams that are over; of the others, what was counted a moment before counts.
func (s *Server) endStreams(end func()) {
	last := s.receiver.AllStats(nil)
	end()
	for _, one := range last {
		counts, ok := s.receiver.Stats(one.ID)
		if !ok {
			counts = one.Stats
		}
		s.putStats(one.ID, counts, time.Now())
	}
}

// finish answers what was asked and ends recordings and forwardings, all at the same time. What a source asks
// now is answered with 5031: it tries again, elsewhere if there is another server.
func (s *Server) finish(ctx context.Context) (err error) {
	limit, cancel := context.WithTimeout(ctx, finishLimit)
	defer cancel()
	answers, cancelAnswers := context.WithTimeout(ctx, doorLimit)
	defer cancelAnswers()
	var all sync.WaitGroup
	for _, d := range s.doors {
		all.Go(func() { d.close(answers) })
	}
	if s.parts.Close != nil {
		all.Go(func() { s.parts.Close(limit) })
	}
	if s.library != nil {
		err = s.library.Close(limit)
	}
	all.Wait()
	return err
}

// noteEnd writes that the streams of this server are over.
func (s *Server) noteEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, noteLimit)
	defer cancel()
	if _, err := s.store.EndStreamsOf(ctx, s.name, "its server was stopped", time.Now()); err != nil {
		s.log.Warn("server: the end of the streams could not be noted; the next start does that", "error", err)
	}
}

func (s *Server) putStats(id string, counts stream.Stats, at time.Time) {
	s.stats.Put(store.StreamStats{Stream: id, Stats: counts, At: at})
}

// keepStats hands the figures of all streams to who writes them.
func (s *Server) keepStats(ctx context.Context) {
	ticker := time.NewTicker(statsInterval)
	defer ticker.Stop()
	var all []stream.Named
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			all = s.receiver.AllStats(all[:0])
			for _, one := range all {
				s.putStats(one.ID, one.Stats, now)
			}
		}
	}
}

// What is kept of the past.
const (
	pastKeep      = 90 * 24 * time.Hour
	eventsKeep    = 100_000
	streamsKeep   = 100_000
	pruneInterval = 10 * time.Minute
)

// prune forgets what is older, or more.
func (s *Server) prune(ctx context.Context) {
	ticker := time.NewTicker(pruneInterval)
	defer ticker.Stop()
	for {
		more := true
		for more && ctx.Err() == nil {
			var err error
			r := store.Retention{Before: time.Now().Add(-pastKeep), Events: eventsKeep, Streams: streamsKeep}
			if _, more, err = s.store.Prune(ctx, r); err != nil {
				break // the next time will do
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

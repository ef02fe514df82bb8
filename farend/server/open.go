// What a Server opens before its doors: state folder, database, recordings, sockets. Nothing is answered yet.

package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/lock"
	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/farend/videoserver"
	"github.com/krazycam/krazycam/farend/webm"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// Open opens all that the settings name. Streams of an earlier run are over: their sources ask again.
func Open(ctx context.Context, c Config) (*Server, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Server{config: c, log: c.Log}
	for _, step := range []func(context.Context) error{
		s.openState, s.openStore, s.openRecordings, s.openReceiver, s.openCluster, s.openParts, s.openGateway,
		s.openControl, s.openOperator,
	} {
		if err := step(ctx); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// openState makes the folder, readable by its owner alone: secrets are in there.
func (s *Server) openState(context.Context) error {
	dir := s.config.State.Folder
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	unlock, err := lock.Folder(dir)
	if errors.Is(err, lock.ErrHeld) {
		return fmt.Errorf("state folder %s: another %s uses it: give this one a folder of its own with --state",
			dir, s.config.Program)
	}
	if err != nil {
		return fmt.Errorf("state folder %s: %w", dir, err)
	}
	s.undo = append(s.undo, unlock)
	s.name = s.config.Cluster.Name
	if s.name == "" {
		if s.name, err = os.Hostname(); err != nil {
			return fmt.Errorf("host name: %w (give the server one with --name)", err)
		}
	}
	if s.config.State.Database != "" {
		s.instance, err = keptInstance(dir)
	}
	return err
}

// instanceFile has the secret that this server writes into its row of a shared database, where no other
// server of the same name can know it.
const instanceFile = "instance"

// instanceMax is above what rand.Text gives, in bytes.
const instanceMax = 64

// keptInstance reads that secret, or makes one at the first start.
func keptInstance(dir string) (string, error) {
	path := filepath.Join(dir, instanceFile)
	b, _, err := openfile.ReadOwnSecret(path, instanceMax)
	if kept := strings.TrimSpace(string(b)); err == nil && kept != "" {
		return kept, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("state folder: %w", err)
	}
	made := rand.Text()
	if err := atomicfile.ReplaceDurably(path, 0o600, atomicfile.Bytes([]byte(made+"\n"))); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	return made, nil
}

func (s *Server) openStore(ctx context.Context) error {
	var err error
	if s.store, err = s.config.OpenStore(ctx); err != nil {
		return err
	}
	s.undo = append(s.undo, func() {
		if err := s.store.Close(); err != nil {
			s.log.Error("server: database", "error", err)
		}
	})
	s.stats = store.NewStatsWriter(s.store, statsInterval, s.log)
	if err := s.checkName(ctx); err != nil {
		return err
	}
	ended, err := s.store.EndStreamsOf(ctx, s.name, "its server was started again", time.Now())
	if err == nil && len(ended) > 0 {
		s.log.Info("server: streams of before the start are over; their sources ask again", "streams", len(ended))
	}
	return err
}

// nameTaken is after how long without a heartbeat a name is free.
const nameTaken = 10 * time.Second

// checkName: two servers of one name would end each other's streams. This one, killed a moment ago, is known
// by its instance.
func (s *Server) checkName(ctx context.Context) error {
	if s.config.State.Database == "" {
		return nil
	}
	servers, err := s.store.Servers(ctx, time.Now().Add(-nameTaken))
	if err != nil {
		return err
	}
	for _, one := range servers {
		if one.Name == s.name && one.Capacity > 0 && one.Secret != s.instance {
			return fmt.Errorf("another server called %q uses this database: give this one another name with --name",
				s.name)
		}
	}
	return nil
}

func (s *Server) openRecordings(context.Context) error {
	c := s.config.Record
	if c.Folder == "" {
		return nil
	}
	library, err := webm.Open(webm.Config{
		Dir: s.config.RecordFolder(), App: "krazycam " + s.config.Version, Log: s.log, FileLength: c.Segment,
		Defaults: webm.Limits{Bytes: c.Bytes, Age: c.Age}, CustomerLimits: s.recordLimits,
	})
	if err != nil {
		return err
	}
	s.library = library
	s.undo = append(s.undo, func() {
		if s.ran { // that has closed it, or given up
			return
		}
		limit, cancel := context.WithTimeout(context.Background(), finishLimit)
		defer cancel()
		if err := library.Close(limit); err != nil {
			s.log.Warn("server: recordings", "error", err)
		}
	})
	return nil
}

// recordLimits are what a customer's recordings may take.
func (s *Server) recordLimits(ctx context.Context, customer int64) (webm.Limits, error) {
	c, err := s.store.CustomerByID(ctx, customer)
	if errors.Is(err, store.ErrUnknown) { // it was removed: what it left goes by the defaults
		return webm.Limits{}, nil
	}
	return webm.Limits{Bytes: c.RecordBytes, Age: c.RecordAge}, err
}

// listenHost is where streams arrive.
func (s *Server) listenHost() string {
	host, _, _ := net.SplitHostPort(s.config.Settings.Gateway.Listen) // checked
	return cmp.Or(s.config.Settings.Receiver.Listen, host)
}

func (s *Server) openReceiver(context.Context) error {
	c := s.config.Settings.Receiver
	announce := cmp.Or(c.Host, s.config.Settings.Gateway.Host)
	if s.config.Cluster.Listen != "" && c.Host == "" { // whom a source asked may be another one
		announce = reachableHosts(s.listenHost())[0]
	}
	config := receiver.Config{
		Host: s.listenHost(), Announce: announce, CamerasMax: c.Capacity, AnyAddress: c.AnyAddress,
		RTPPort: c.Ports.RTP, RTCPPort: c.Ports.RTCP, Mux: c.Ports.RTP == c.Ports.RTCP && c.Ports.RTP != 0,
		First: c.Ports.First, Last: c.Ports.Last, Sinks: s.sinks, Log: s.log,
	}
	var err error
	if s.receiver, err = receiver.Listen(config); err != nil {
		return fmt.Errorf("%w (%s)", err, s.config.PortsHint)
	}
	s.undo = append(s.undo, func() { // without a stream it ends at once
		if s.ran {
			return
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.receiver.Run(ended)
	})
	s.streams = &streams{receiver: s.receiver, lookUp: s.lookUp, of: map[string]named{},
		ended: func(id string, last stream.Stats) { s.putStats(id, last, time.Now()) }}
	s.local = videoserver.NewLocal(s.streams, time.Now, s.log)
	return nil
}

// lookUp asks what people call a stream. Without an answer it is called nothing.
func (s *Server) lookUp(ctx context.Context, g stream.Grant) (n Names) {
	if c, err := s.store.CustomerByID(ctx, g.Customer); err == nil {
		n.Customer = c.Name
	}
	if c, err := s.store.SourceByID(ctx, g.Source); err == nil {
		n.Source = c.Name
	}
	return n
}

// sinks makes what takes a stream.
func (s *Server) sinks(g stream.Grant) (all []stream.Sink) {
	names := s.streams.namesOf(g.ID)
	if s.library != nil {
		all = append(all, s.library.Record(webm.Source{
			Customer: g.Customer, ID: g.Source, Name: names.Source,
			RequestKeyFrame: func() { s.receiver.RequestKeyFrame(g.ID) },
		}))
	}
	if s.parts.Sinks != nil {
		all = append(all, s.parts.Sinks(g, names)...)
	}
	return all
}

func (s *Server) openParts(context.Context) (err error) {
	if s.config.Parts == nil {
		return nil
	}
	s.undo = append(s.undo, func() {
		if s.ran || s.parts.Close == nil { // Run has called it
			return
		}
		limit, cancel := context.WithTimeout(context.Background(), finishLimit)
		defer cancel()
		s.parts.Close(limit)
	})
	s.parts, err = s.config.Parts(s)
	return err
}

func (s *Server) openCluster(ctx context.Context) error {
	trusted, served, err := s.controlTLS(ctx)
	if err != nil {
		return err
	}
	s.control = served
	s.cluster = videoserver.NewCluster(videoserver.ClusterConfig{
		Store: s.store, Local: s.local, Name: s.name, Load: s.receiver.Load, TLS: trusted, Log: s.log,
	})
	s.undo = append(s.undo, s.cluster.Close)
	return nil
}

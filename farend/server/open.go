// What a Server opens: state folder, database, sockets, listeners, certificates. Nothing is answered yet.

package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/lock"
	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/farend/settings"
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

func (s *Server) openGateway(context.Context) error {
	c := s.config.Settings.Gateway
	user, password, err := s.administrator()
	if err != nil {
		return err
	}
	s.gateway = gateway.New(gateway.Config{
		Store: s.store, Servers: s.cluster, KeepAlive: c.KeepAlive, SRTP: c.SRTP,
		AdminUser: user, AdminPassword: password, Proxies: s.proxies(), Offer: s.parts.Offer, Log: s.log,
	})
	return s.openGatewayDoor()
}

func (s *Server) proxies() (all []netip.Prefix) {
	for _, p := range s.config.Settings.Gateway.Proxies {
		all = append(all, netip.MustParsePrefix(p)) // checked
	}
	return all
}

// Asker says from where a request came, behind the load balancers of the configuration too.
func (s *Server) Asker() func(*http.Request) netip.Addr { return gateway.AskerBehind(s.proxies()) }

func (s *Server) openGatewayDoor() error {
	c := s.config.Settings.Gateway
	host, _, _ := net.SplitHostPort(c.Listen) // checked
	hosts := reachableHosts(host)
	if c.Host != "" {
		hosts = append([]string{c.Host}, hosts...)
	}
	config, err := s.gatewayTLS(hosts)
	if err != nil {
		return err
	}
	d, err := s.openDoor("gateway", c.Listen, "choose another with --listen", config,
		sourceConnectionsMax, sourceConnectionsOfHostMax)
	if err != nil {
		return err
	}
	if d.http.Handler, err = s.withJoins(s.gateway); err != nil {
		return err
	}
	if s.parts.Gateway != nil {
		d.http.Handler = s.parts.Gateway(d.http.Handler)
	}
	s.url = d.scheme() + "://" + net.JoinHostPort(hosts[0], d.port()) + "/"
	return nil
}

// openDoor opens a listener that Close closes.
func (s *Server) openDoor(name, address, hint string, config *tls.Config, most, ofHost int) (*door, error) {
	d, err := openDoor(name, address, hint, config, most, ofHost, s.proxies(), s.log)
	if err != nil {
		return nil, err
	}
	s.doors = append(s.doors, d)
	s.undo = append(s.undo, func() { _ = d.listener.Close() })
	return d, nil
}

// gatewayTLS is nil for http. A certificate of somebody's own is read again when its files change.
func (s *Server) gatewayTLS(hosts []string) (*tls.Config, error) {
	c := s.config.Settings.Gateway
	if !c.TLS {
		return nil, nil
	}
	if c.Certificate != "" {
		var err error
		if s.cert, err = loadCertificate(c.Certificate, c.Key, s.log); err != nil {
			return nil, err
		}
		return &tls.Config{GetCertificate: s.cert.GetCertificate, MinVersion: tls.VersionTLS12}, nil
	}
	hosts = append(hosts, "localhost", "127.0.0.1", "::1", VMHost)
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name, name+".local")
	}
	dir := s.config.State.Folder
	pair, err := gateway.SelfSigned(dir, append(hosts, c.Names...), time.Now(), s.log)
	if err != nil {
		return nil, err
	}
	pem, err := openfile.Read(gateway.CertificatePath(dir), gateway.MaxPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	s.ca = string(pem)
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// controlName is in the certificate that the servers of one database share, whatever they are called.
const controlName = "camserver"

// controlTLS makes or reads that certificate: what a server trusts, and what it shows.
func (s *Server) controlTLS(ctx context.Context) (trusted, served *tls.Config, err error) {
	if s.config.State.Database == "" {
		return nil, nil, nil
	}
	certPEM, keyPEM, err := gateway.MakeCertificate([]string{controlName}, time.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("control: make a certificate: %w", err)
	}
	both, err := s.store.InitSetting(ctx, "control_certificate", string(certPEM)+string(keyPEM))
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair([]byte(both), []byte(both)) // each takes its own part
	if err != nil {
		return nil, nil, fmt.Errorf("control: the certificate in the database: %w", err)
	}
	trusted = videoserver.TrustShared(pair.Leaf)
	return trusted, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}, nil
}

// controlURL is how other servers reach this one; "": they do not.
func (s *Server) controlURL() string {
	c := s.config.Cluster
	if c.Listen == "" || c.URL != "" {
		return c.URL
	}
	host, port, _ := net.SplitHostPort(c.Listen) // checked
	return "https://" + net.JoinHostPort(reachableHosts(host)[0], port)
}

// openControl lets other servers ask this one for streams.
func (s *Server) openControl(context.Context) error {
	host := cmp.Or(s.config.Settings.Receiver.Host, s.config.Settings.Gateway.Host, reachableHosts(s.listenHost())[0])
	s.beat = videoserver.Announcer{
		Store: s.store, Load: s.receiver.Load, Now: time.Now, Log: s.log,
		Server: store.Server{
			Name: s.name, Host: host, Control: s.controlURL(), Secret: s.instance, Version: s.config.Version,
		},
	}
	if s.config.Cluster.Listen == "" {
		return nil
	}
	handler, err := videoserver.NewHandler(s.local, s.instance, s.log)
	if err != nil {
		return err
	}
	d, err := s.openDoor("control", s.config.Cluster.Listen, "choose another with --control", s.control,
		otherConnectionsMax, otherConnectionsMax)
	if err != nil {
		return err
	}
	d.http.Handler = handler
	return nil
}

// openOperator is for people and their programs. It has no https.
func (s *Server) openOperator(context.Context) error {
	if s.parts.Operator == nil || s.config.Settings.Operator.Listen == "" {
		return nil
	}
	d, err := s.openDoor("operator", s.config.Settings.Operator.Listen, "choose another with --operator", nil,
		otherConnectionsMax, otherConnectionsMax)
	if err != nil {
		return err
	}
	d.http.Handler = s.parts.Operator
	if address := s.config.Settings.Operator.Listen; !settings.IsLoopback(address) {
		s.log.Warn("operator: plain http on an address that other machines may reach: who listens on the way reads "+
			"the administrator's token; keep it inside a network of yours, or behind a server with https",
			"listen", address)
	}
	return nil
}

// administratorMax is far above what a person types.
const administratorMax = 1024

// administrator reads who may use the gateway's action admin; "": nobody.
func (s *Server) administrator() (user, password string, err error) {
	path := s.config.Settings.Operator.PasswordFile
	if path == "" {
		return "", "", nil
	}
	b, err := openfile.ReadSecret(path, administratorMax)
	if err != nil {
		return "", "", fmt.Errorf("administrator's password: %w", err)
	}
	user, password, found := strings.Cut(strings.TrimSpace(string(b)), ":")
	if !found || user == "" || password == "" || strings.ContainsAny(user+password, "\r\n") {
		return "", "", fmt.Errorf("administrator's password: %s: must hold USER:PASSWORD in one line and nothing else",
			path)
	}
	return user, password, nil
}

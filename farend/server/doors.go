// The gateway, and the doors of a Server: for sources, for other servers, for operators; what guards each.

package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/videoserver"
	"github.com/krazycam/krazycam/firmware/openfile"
)

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

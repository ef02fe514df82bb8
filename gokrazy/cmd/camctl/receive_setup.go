// What camctl receive opens: sockets, listener, certificate, state directory.

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
	"github.com/krazycam/krazycam/farend/gateway/single"
	farlistener "github.com/krazycam/krazycam/farend/listener"
	"github.com/krazycam/krazycam/farend/lock"
	"github.com/krazycam/krazycam/farend/receiver"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// A board has one connection open for a moment each minute; some may stand behind one address.
const (
	connectionsMax       = 256
	connectionsOfHostMax = 32
)

func openStation(o *receiveOptions, log *slog.Logger) (*station, error) {
	if err := o.openState(); err != nil {
		return nil, err
	}
	unlock, err := lock.Folder(o.state)
	if errors.Is(err, lock.ErrHeld) {
		return nil, fmt.Errorf("state directory %s: another camctl receive uses it: "+
			"give this one a directory of its own with --state", o.state)
	}
	if err != nil {
		return nil, fmt.Errorf("state directory %s: %w", o.state, err)
	}
	s := &station{newKey: o.key == "" && o.keyFile == "", unlock: unlock}
	if err := s.open(o, log); err != nil {
		unlock()
		return nil, err
	}
	return s, nil
}

func (s *station) open(o *receiveOptions, log *slog.Logger) (err error) {
	if o.key, err = o.findKey(log); err != nil {
		return err
	}
	if s.offering, err = openOffering(o, o.tls || o.cert != "", log); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.offering.close(log)
		}
	}()
	host, _, _ := net.SplitHostPort(o.listen) // checked
	sockets, err := listenUDP(host, o.rtp, o.rtcp)
	if err != nil {
		return err
	}
	closeAll := func() { _, _ = sockets[0].Close(), sockets[1].Close() }
	s.receiver = receiver.New(receiver.Config{
		RTP: sockets[0], RTCP: sockets[1], IVFDir: o.ivf, Log: log, AnyAddress: o.anyAddress,
	})
	s.gateway, err = single.New(single.Config{
		Key: o.key, Server: s.receiver, KeepAlive: o.keepAlive, SRTP: o.srtp, StateDir: o.state, Log: log,
		Offer: s.offering.offerFunc(),
	})
	if err != nil {
		closeAll()
		return err
	}
	s.http = http.Server{
		Handler: s.offering.handler(s.gateway), ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 8 << 10,
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		closeAll()
		return fmt.Errorf("gateway: %w (choose another with --listen)", err)
	}
	s.listener = farlistener.Bound(listener, connectionsMax, connectionsOfHostMax)
	if err := s.secure(o, host, log); err != nil {
		closeAll()
		return errors.Join(err, s.listener.Close())
	}
	return nil
}

// secure puts TLS around the listener if it is asked for, and works out the URL.
func (s *station) secure(o *receiveOptions, host string, log *slog.Logger) error {
	reachable := reachableHosts(host)
	scheme, ca := "http", ""
	if o.tls || o.cert != "" {
		scheme = "https"
		pair, err := o.certificate(reachable, log)
		if err != nil {
			return err
		}
		if o.tls {
			pem, err := openfile.Read(gateway.CertificatePath(o.state), gateway.MaxPEM)
			if err != nil {
				return fmt.Errorf("certificate: %w", err)
			}
			ca = string(pem)
		}
		s.listener = tls.NewListener(s.listener, &tls.Config{
			Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		})
	}
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	s.url = scheme + "://" + net.JoinHostPort(reachable[0], port) + "/"
	s.seed = seed(s.url, o.key, ca)
	s.vmSeed = seed(scheme+"://"+net.JoinHostPort(vmHost, port)+"/", o.key, ca)
	if o.seedOut == "" {
		return nil
	}
	if err := atomicfile.Write(o.seedOut, 0o600, atomicfile.Bytes([]byte(s.seed+"\n"))); err != nil {
		return fmt.Errorf("--seed-out: %w", err)
	}
	return nil
}

// vmHost is this machine as a board in camctl vm sees it.
const vmHost = "10.0.2.2"

func (o *receiveOptions) certificate(hosts []string, log *slog.Logger) (tls.Certificate, error) {
	if o.cert != "" {
		pair, err := gateway.LoadPair(o.cert, o.tlsKey)
		if err != nil {
			return pair, fmt.Errorf("--cert: %w", err)
		}
		return pair, nil
	}
	hosts = append(hosts, "localhost", "127.0.0.1", "::1", vmHost)
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name, name+".local")
	}
	return gateway.SelfSigned(o.state, append(hosts, o.names...), time.Now(), log)
}

// openState makes the directories, readable by the owner alone: the key is in there.
func (o *receiveOptions) openState() error {
	if o.state == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("state directory: %w (give one with --state)", err)
		}
		o.state = filepath.Join(dir, "krazycam", "receive")
	}
	if err := os.MkdirAll(o.state, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if o.ivf == "" {
		return nil
	}
	if !filepath.IsAbs(o.ivf) {
		o.ivf = filepath.Join(o.state, o.ivf)
	}
	if err := os.MkdirAll(o.ivf, 0o700); err != nil {
		return fmt.Errorf("recordings: %w", err)
	}
	return nil
}

// readBuffer, in bytes, holds what comes while the receiver writes a frame, or while somebody floods
// its port.
const readBuffer = 4 << 20

func listenUDP(host string, ports ...int) ([]net.PacketConn, error) {
	var sockets []net.PacketConn
	for _, port := range ports {
		conn, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			for _, open := range sockets {
				_ = open.Close()
			}
			return nil, fmt.Errorf("receiver: %w (choose others with --rtp and --rtcp)", err)
		}
		if udp, ok := conn.(*net.UDPConn); ok {
			_ = udp.SetReadBuffer(readBuffer) // as much as the system allows
		}
		sockets = append(sockets, conn)
	}
	return sockets, nil
}

// reachableHosts are the addresses by which boards may reach a listener on host;
// the first is the likeliest: IPv4 before IPv6, the network before this machine.
func reachableHosts(host string) []string {
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return []string{host}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return []string{"127.0.0.1"}
	}
	var four, six []string
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		switch addr := p.Addr(); {
		case err != nil || addr.IsLoopback() || addr.IsLinkLocalUnicast():
		case addr.Is4():
			four = append(four, addr.String())
		default:
			six = append(six, addr.String())
		}
	}
	return append(append(four, six...), "127.0.0.1")
}

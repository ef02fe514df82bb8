// The listeners: gateway, operator, control. Each has limits of its own.

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/farend/listener"
)

// A board has one connection open for a moment each minute; many may stand behind one address. A person
// or a monitoring has a few.
const (
	sourceConnectionsMax       = 4096
	sourceConnectionsOfHostMax = 64
	otherConnectionsMax        = 256
)

// A door is one listener and what answers there.
type door struct {
	name     string // "gateway"
	listener net.Listener
	secure   bool
	http     http.Server
}

// openDoor listens. config is for https; nil: http. hint says what to do about an address that is taken.
// ofHost does not hold for balancers.
func openDoor(name, address, hint string, config *tls.Config, most, ofHost int, balancers []netip.Prefix,
	log *slog.Logger,
) (*door, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (%s)", name, err, hint)
	}
	d := &door{name: name, listener: listener.Bound(l, most, ofHost, balancers...), secure: config != nil}
	if config != nil {
		d.listener = tls.NewListener(d.listener, config)
	}
	d.http = http.Server{
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 8 << 10,
	}
	return d, nil
}

// serve answers until close.
func (d *door) serve() error {
	if err := d.http.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// close lets requests that were read be answered until ctx ends.
func (d *door) close(ctx context.Context) {
	if d.http.Shutdown(ctx) != nil {
		_ = d.http.Close()
	}
}

// port is where it listens.
func (d *door) port() string {
	_, port, _ := net.SplitHostPort(d.listener.Addr().String())
	return port
}

func (d *door) scheme() string {
	if d.secure {
		return "https"
	}
	return "http"
}

// Video servers, which say that they live.

package store

import (
	"context"
	"time"
)

// A Server takes streams.
type Server struct {
	Name     string // unique
	Host     string // that sources are told; "": the host by which they reached the gateway
	Control  string // URL of farend/videoserver's API; "": only the process that wrote this can reach it
	Secret   string // for Control
	Version  string
	Capacity int       // streams at once
	Streams  int       // that it says it has
	Granted  int       // active streams that the database has of it; Heartbeat does not write it
	SeenAt   time.Time // its last heartbeat
}

const serverColumns = `name, host, control, secret, version, capacity, streams, seen_at`

func scanServer(r scanner) (Server, error) {
	var c Server
	var seen int64
	err := r.Scan(&c.Name, &c.Host, &c.Control, &c.Secret, &c.Version, &c.Capacity, &c.Streams, &seen, &c.Granted)
	c.SeenAt = timeOf(seen)
	return c, err
}

// Heartbeat keeps what a server says of itself.
func (s *Store) Heartbeat(ctx context.Context, c Server) error {
	return s.exec(ctx, "heartbeat: "+c.Name, nil, `INSERT INTO servers (`+serverColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET host = excluded.host,
		control = excluded.control, secret = excluded.secret, version = excluded.version,
		capacity = excluded.capacity, streams = excluded.streams, seen_at = excluded.seen_at`,
		storable(c.Name), storable(c.Host), storable(c.Control), storable(c.Secret), storable(c.Version),
		c.Capacity, c.Streams, micros(c.SeenAt))
}

// Servers lists those that were heard since aliveSince, by name; the zero time: all.
func (s *Store) Servers(ctx context.Context, aliveSince time.Time) ([]Server, error) {
	return list(ctx, s, "servers", scanServer, `SELECT `+serverColumns+`,
		(SELECT COUNT(*) FROM streams WHERE streams.server = servers.name AND ended = 0)
		FROM servers WHERE seen_at >= $1 ORDER BY name`, micros(aliveSince))
}

// RemoveServer forgets a server that ends, so that it is chosen no more; one that is unknown is no error.
func (s *Store) RemoveServer(ctx context.Context, name string) error {
	return s.exec(ctx, "remove server: "+name, nil, `DELETE FROM servers WHERE name = $1`, storable(name))
}

// What concerns several streams: events, servers, forwardings, offers of updates.

package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/farend/forward"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// An event is one as answers have it.
type event struct {
	ID       int64     `json:"id"`
	At       time.Time `json:"at"`
	Customer int64     `json:"customer,omitempty"`
	Source   wire.ID   `json:"source,omitzero"`
	Stream   string    `json:"stream,omitempty"`
	Kind     string    `json:"kind"`
	Words    string    `json:"words"`
}

// listEvents gives the latest first.
func (a *API) listEvents(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	q := queryOf(r, "limit", "after", "customer", "source", "stream", "kind", "since")
	limit, cursor := q.limit(), q.cursor()
	customer, ok := q.customer(caller)
	f := store.EventFilter{Customer: customer, Source: q.source("source"), Stream: q.text("stream"),
		Kind: q.text("kind"), Since: q.moment("since")}
	var err error
	if cursor != "" {
		if f.Before, err = strconv.ParseInt(cursor, 10, 64); err != nil || f.Before < 1 {
			q.wrong("after", `the "next" of the answer before`)
		}
	}
	switch {
	case q.err != nil:
		return answer{}, q.err
	case !ok:
		return answer{}, notFound("customer")
	}
	all, err := a.config.Store.Events(r.Context(), f, limit+1)
	if err != nil {
		return answer{}, err
	}
	part := make([]event, 0, len(all))
	for _, e := range all {
		part = append(part, event(e))
	}
	return answer{body: pageOf(part, limit, func(e event) string { return strconv.FormatInt(e.ID, 10) })}, nil
}

// A server is one as answers have it: without what others need to ask it.
type server struct {
	Name     string    `json:"name"`
	Host     string    `json:"host"` // that sources are told; "": the one by which they asked
	Version  string    `json:"version"`
	Capacity int       `json:"capacity"`
	Streams  int       `json:"streams"`
	SeenAt   time.Time `json:"seen_at"` // its last heartbeat
}

func (a *API) listServers(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	if q := queryOf(r); q.err != nil {
		return answer{}, q.err
	}
	if !caller.Administrator {
		return answer{}, needsAdministrator()
	}
	all, err := a.config.Store.Servers(r.Context(), time.Time{})
	if err != nil {
		return answer{}, err
	}
	part := make([]server, 0, len(all))
	for _, s := range all {
		part = append(part, server{s.Name, s.Host, s.Version, s.Capacity, s.Streams, s.SeenAt})
	}
	return answer{body: page[server]{Items: part}}, nil
}

// listForwardings gives those of this process. A customer does not learn to where.
func (a *API) listForwardings(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	if q := queryOf(r); q.err != nil {
		return answer{}, q.err
	}
	part := []forward.State{}
	if a.config.Forwardings != nil {
		for _, s := range a.config.Forwardings() {
			if !caller.sees(s.Customer) {
				continue
			}
			if !caller.Administrator {
				s.Target, s.Error = "", ""
			}
			part = append(part, s)
		}
	}
	return answer{body: page[forward.State]{Items: part}}, nil
}

// An offer is an update that boards are offered, and how far it got.
type offer struct {
	ID        int64          `json:"id"`
	Version   string         `json:"version"`
	Board     string         `json:"board"`
	Share     float64        `json:"share"`              // of the boards that are offered it, 0 to 1
	Customer  int64          `json:"customer,omitempty"` // whose boards alone are offered it
	StopAfter int            `json:"stop_after"`         // boards that fall back, after which it ends; 0: never
	Now       bool           `json:"now"`
	Enabled   bool           `json:"enabled"`
	Made      time.Time      `json:"made"`
	Boards    map[string]int `json:"boards"` // how many are in which phase
}

func (a *API) listOffers(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	if q := queryOf(r); q.err != nil {
		return answer{}, q.err
	}
	if !caller.Administrator {
		return answer{}, needsAdministrator()
	}
	all, err := a.config.Store.Offers(r.Context())
	if err != nil {
		return answer{}, err
	}
	part := make([]offer, 0, len(all))
	for _, o := range all {
		counts, err := a.config.Store.OfferCounts(r.Context(), o.ID)
		if err != nil {
			return answer{}, err
		}
		part = append(part, offer{ID: o.ID, Version: o.Version, Board: o.Board, Share: o.Share, Customer: o.Customer,
			StopAfter: o.StopAfter, Now: o.Now, Enabled: o.Enabled, Made: o.Made, Boards: counts})
	}
	return answer{body: page[offer]{Items: part}}, nil
}

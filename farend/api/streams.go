// Streams: those that run, and what became of those that ended.

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Stream is one as answers have it.
type Stream struct {
	ID        string        `json:"id"`
	Source    wire.ID       `json:"source"`
	Customer  int64         `json:"customer"`
	Server    string        `json:"server"`
	Asker     netip.Addr    `json:"asker"`
	Encrypted bool          `json:"encrypted"`
	Width     int           `json:"width"` // that the source announced
	Height    int           `json:"height"`
	Since     time.Time     `json:"since"`
	LastSeen  time.Time     `json:"last_seen"`
	Ended     *time.Time    `json:"ended"`
	Because   string        `json:"because,omitempty"`
	Stats     *stream.Stats `json:"stats"`
	StatsAt   *time.Time    `json:"stats_at"`
}

// StreamOf is s as answers have it, with the last statistics that were kept.
func StreamOf(s store.Stream) Stream {
	view := Stream{
		ID: s.ID, Source: s.Source, Customer: s.Customer, Server: s.Server, Asker: s.Asker, Encrypted: s.Encrypted,
		Width: s.Width, Height: s.Height, Since: s.Since, LastSeen: s.LastSeen, Ended: timeOrNone(s.Ended),
		Because: s.Because,
	}
	if !s.StatsAt.IsZero() {
		view.Stats, view.StatsAt = &s.Stats, timeOrNone(s.StatsAt)
	}
	return view
}

// view is s for a caller, with the statistics of this moment if it runs here.
func (a *API) view(s store.Stream, caller Caller) Stream {
	view := StreamOf(s)
	if s.Ended.IsZero() {
		if now, ok := a.config.Live.Stats(s.ID); ok {
			view.Stats, view.StatsAt = &now, timeOrNone(a.config.Now())
		}
	}
	if view.Stats != nil {
		shown := shownTo(caller, *view.Stats)
		view.Stats = &shown
	}
	return view
}

// shownTo leaves out what names files and hosts of the server's owner.
func shownTo(caller Caller, s stream.Stats) stream.Stats {
	if !caller.Administrator {
		s.Records, s.Problem = nil, ""
	}
	return s
}

func (a *API) listStreams(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	q := queryOf(r, "limit", "after", "customer", "source", "server", "state")
	limit, cursor := q.limit(), q.cursor()
	customer, ok := q.customer(caller)
	f := store.StreamFilter{Customer: customer, Source: q.source("source"), Server: q.text("server"), Limit: limit + 1}
	if cursor != "" {
		at, id, _ := strings.Cut(cursor, " ")
		after, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			q.wrong("after", `the "next" of the answer before`)
		}
		f.After, f.AfterID = after, id
	}
	list := a.config.Store.ActiveStreams
	if q.choice("state", "running", "ended") == "ended" {
		list = a.config.Store.EndedStreams
	}
	switch {
	case q.err != nil:
		return answer{}, q.err
	case !ok:
		return answer{}, notFound("customer")
	}
	all, err := list(r.Context(), f)
	if err != nil {
		return answer{}, err
	}
	part := make([]Stream, 0, len(all))
	for _, s := range all {
		part = append(part, a.view(s, caller))
	}
	return answer{body: pageOf(part, limit, streamCursor)}, nil
}

// streamCursor names a stream's place in its list: running ones by their beginning, ended ones by their end.
func streamCursor(s Stream) string {
	at := s.Since
	if s.Ended != nil {
		at = *s.Ended
	}
	return at.Format(time.RFC3339Nano) + " " + s.ID
}

// stream finds the one with an ID, if the caller sees it.
func (a *API) stream(r *http.Request, caller Caller, id string) (store.Stream, error) {
	s, err := a.config.Store.StreamByID(r.Context(), id)
	if errors.Is(err, store.ErrUnknown) || err == nil && !caller.sees(s.Customer) {
		err = notFound("stream")
	}
	return s, err
}

// writeStream answers with JSON, or with CSV if the path ends so.
func (a *API) writeStream(w http.ResponseWriter, r *http.Request, caller Caller) error {
	id, isCSV := strings.CutSuffix(r.PathValue("id"), ".csv")
	s, err := a.stream(r, caller, id)
	switch {
	case err != nil:
		return err
	case isCSV:
		return a.writeCSV(w, r, "stream-"+s.ID, []store.Stream{s})
	}
	return a.writeAnswer(w, r, answer{body: a.view(s, caller)})
}

func (a *API) stopStream(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	s, err := a.stream(r, caller, r.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	because := "stopped by its customer"
	if caller.Administrator {
		because = "stopped by an administrator"
	}
	// A client that goes away in the middle must not leave a stream that is over and still arrives.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), handleMax)
	defer cancel()
	err = a.config.Store.EndStream(ctx, s.ID, because, a.config.Now())
	switch {
	case errors.Is(err, store.ErrUnknown):
		return answer{}, problem(http.StatusConflict, "ended", "this stream is over already: %s", s.Because)
	case err != nil:
		return answer{}, err
	}
	a.note(ctx, store.Event{Customer: s.Customer, Source: s.Source, Stream: s.ID, Kind: "ended", Words: because})
	a.closePlace(ctx, s, because)
	return answer{}, nil
}

// closePlace tells the video server that a stream is over. One that cannot be reached ends it by its lease.
func (a *API) closePlace(ctx context.Context, s store.Stream, because string) {
	server, err := a.config.Servers.ByName(ctx, s.Server)
	if err == nil {
		err = server.End(ctx, s.ID, because)
	}
	if err != nil && !errors.Is(err, stream.ErrUnknown) {
		a.config.Log.Warn("api: close a stream's place", "stream", s.ID, "server", s.Server, "error", err)
	}
}

// live finds the statistics of a stream that runs in this process.
func (a *API) live(r *http.Request, caller Caller) (store.Stream, stream.Stats, error) {
	s, err := a.stream(r, caller, r.PathValue("id"))
	if err != nil {
		return s, stream.Stats{}, err
	}
	if !s.Ended.IsZero() {
		return s, stream.Stats{}, problem(http.StatusConflict, "ended", "this stream is over: %s", s.Because)
	}
	now, ok := a.config.Live.Stats(s.ID)
	if !ok {
		return s, now, a.elsewhere(s)
	}
	return s, now, nil
}

func (a *API) elsewhere(s store.Stream) error {
	return problem(http.StatusConflict, "elsewhere",
		"this stream runs at the server %q and this is %q: ask that one, or take the statistics that %s/streams/%s has",
		s.Server, a.config.Server, Prefix, s.ID)
}

func (a *API) getStats(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	_, now, err := a.live(r, caller)
	return answer{body: shownTo(caller, now)}, err
}

func (a *API) requestKeyFrame(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	s, _, err := a.live(r, caller)
	if err != nil {
		return answer{}, err
	}
	err = a.config.Live.RequestKeyFrame(s.ID)
	if errors.Is(err, stream.ErrUnknown) {
		err = a.elsewhere(s)
	}
	if err != nil {
		return answer{}, fmt.Errorf("request a key frame: %w", err)
	}
	return answer{}, nil
}

// A liveStats is one of the streams of this process.
type liveStats struct {
	ID       string       `json:"id"`
	Source   wire.ID      `json:"source"`
	Customer int64        `json:"customer"`
	Stats    stream.Stats `json:"stats"`
}

// listStats gives all streams of this process at once, for whoever draws them each second. It asks no
// database.
func (a *API) listStats(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	if q := queryOf(r); q.err != nil {
		return answer{}, q.err
	}
	all := []liveStats{}
	for _, one := range a.config.Live.AllStats(nil) {
		if caller.sees(one.Customer) {
			all = append(all, liveStats{one.ID, one.Source, one.Customer, shownTo(caller, one.Stats)})
		}
	}
	return answer{body: page[liveStats]{Items: all}}, nil
}

// Sources: cameras, their boards, and what was found in their pictures.

package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A Source is one as answers have it.
type Source struct {
	ID       wire.ID    `json:"id"`
	Customer int64      `json:"customer"`
	Name     string     `json:"name"`
	Enabled  bool       `json:"enabled"`
	Made     time.Time  `json:"made"`
	Used     *time.Time `json:"used"`
	Board    wire.Board `json:"board"` // what it says of itself
	BoardAt  *time.Time `json:"board_at"`
	Stream   *string    `json:"stream"` // that runs now
}

// SourceOf is s as answers have it; streamID is "" if none runs.
func SourceOf(s store.Source, streamID string) Source {
	view := Source{ID: s.ID, Customer: s.Customer, Name: s.Name, Enabled: s.Enabled, Made: s.Made,
		Used: timeOrNone(s.Used), Board: s.Board, BoardAt: timeOrNone(s.BoardAt)}
	if streamID != "" {
		view.Stream = &streamID
	}
	return view
}

// sourceTag is of what people change: what the board says changes each minute.
func sourceTag(s store.Source) string { return etagOf([]any{s.ID, s.Name, s.Enabled}) }

func sourceFields(s *store.Source) fields {
	return fields{"name": text(&s.Name, 0, store.NameMax), "enabled": flag(&s.Enabled)}
}

func (a *API) listSources(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	q := queryOf(r, "limit", "after", "customer")
	limit, cursor := q.limit(), q.cursor()
	customer, ok := q.customer(caller)
	f := store.SourceFilter{Customer: customer, Limit: limit + 1}
	if cursor != "" && f.After.UnmarshalJSON([]byte(cursor)) != nil {
		q.wrong("after", `the "next" of the answer before`)
	}
	switch {
	case q.err != nil:
		return answer{}, q.err
	case !ok:
		return answer{}, notFound("customer")
	}
	all, err := a.config.Store.Sources(r.Context(), f)
	if err != nil {
		return answer{}, err
	}
	running, err := a.running(r.Context(), customer)
	if err != nil {
		return answer{}, err
	}
	var part []Source
	for _, s := range all {
		part = append(part, SourceOf(s, running[s.ID]))
	}
	return answer{body: pageOf(part, limit, func(s Source) string {
		id, _ := s.ID.MarshalJSON() // which does not fail
		return string(id)
	})}, nil
}

// running has the streams that run, by source.
func (a *API) running(ctx context.Context, customer int64) (map[wire.ID]string, error) {
	all, err := a.config.Store.ActiveStreams(ctx, store.StreamFilter{Customer: customer})
	running := map[wire.ID]string{}
	for _, s := range all {
		running[s.Source] = s.ID
	}
	return running, err
}

// source finds the one that a path names, if the caller sees it.
func (a *API) source(r *http.Request, caller Caller) (store.Source, error) {
	s, err := a.config.Store.SourceByID(r.Context(), SourceID(r.PathValue("id")))
	if errors.Is(err, store.ErrUnknown) || err == nil && !caller.sees(s.Customer) {
		err = notFound("source")
	}
	return s, err
}

func (a *API) getSource(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	s, err := a.source(r, caller)
	if err != nil {
		return answer{}, err
	}
	return a.sourceAnswer(r.Context(), s)
}

func (a *API) sourceAnswer(ctx context.Context, s store.Source) (answer, error) {
	running, err := a.config.Store.ActiveStream(ctx, s.ID)
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		return answer{}, err
	}
	return answer{body: SourceOf(s, running.ID), etag: sourceTag(s)}, nil
}

// changeSource is for customers, too: they name their cameras and switch them on and off.
func (a *API) changeSource(w http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	s, err := a.source(r, caller)
	if err != nil {
		return answer{}, err
	}
	var said store.Source
	body, err := keepBody(w, r, sourceFields(&said))
	if err != nil {
		return answer{}, err
	}
	s, err = a.config.Store.ChangeSource(r.Context(), s.ID, func(s *store.Source) error {
		if err := checkMatch(r, sourceTag(*s)); err != nil {
			return err
		}
		return body.apply(sourceFields(s))
	})
	if err != nil {
		return answer{}, err
	}
	a.note(r.Context(), store.Event{Customer: s.Customer, Source: s.ID, Kind: "source changed", Words: body.names()})
	return a.sourceAnswer(r.Context(), s)
}

// note keeps an event of what somebody did here. It is done by then: what keeps it from being noted is
// logged.
func (a *API) note(ctx context.Context, e store.Event) {
	e.At = a.config.Now()
	if err := a.config.Store.AddEvent(ctx, e); err != nil {
		a.config.Log.Error("api: note what was done", "kind", e.Kind, "error", err)
	}
}

// An analysis is what was found last in the pictures of a source.
type analysis struct {
	At        time.Time       `json:"at"`
	Data      json.RawMessage `json:"data"`
	PerSecond float64         `json:"analysed_per_s"`
	DelayMS   int64           `json:"delay_ms"` // from capture to result; 0: not known
}

func (a *API) getAnalysis(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	s, err := a.source(r, caller)
	if err != nil {
		return answer{}, err
	}
	found, err := a.config.Store.Analysis(r.Context(), s.ID)
	if errors.Is(err, store.ErrUnknown) {
		return answer{}, problem(http.StatusNotFound, "not-analysed", "nobody has analysed this source yet")
	}
	return answer{body: analysis{found.At, found.Data, found.PerSecond, found.Delay.Milliseconds()}}, err
}

// CheckSource says what of a source cannot be, for whoever takes it in another way than by HTTP.
func CheckSource(s store.Source) error {
	var checked store.Source
	return checkFields(map[string]any{"name": s.Name}, sourceFields(&checked))
}

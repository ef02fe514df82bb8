// Small questions: status, events, manifests, promote, reboot.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/krazycam/krazycam/firmware/health"
	"github.com/krazycam/krazycam/firmware/webui"
	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// answerStatus tells a stranger little, and the owner all.
func (s *service) answerStatus(w http.ResponseWriter, r *http.Request) {
	status, err := control.ReadStatus(s.at.status)
	if err != nil {
		s.log.Debug("status", "error", err)
		webui.WriteError(w, http.StatusServiceUnavailable, "the board has only just started: try again in some seconds")
		return
	}
	webui.WriteJSON(w, http.StatusOK, s.status(status, webui.IsOwner(r)))
}

func (s *service) status(c control.Status, owner bool) api.Status {
	c.Fingerprint = s.fingerprint
	a := api.Status{
		Status: c, Streaming: health.Rung(c.Rung).Reaches(health.Sent), PasswordSet: s.guard.PasswordSet(),
		Unsigned: s.update.Gokrazy, Pull: s.pull.words(), Whole: owner,
	}
	if !owner {
		a.Status = forStrangers(c)
		a.Pull = ""
	}
	return a
}

// forStrangers keeps what helps somebody who looks for a board, and nothing by which it, its owner or
// its weaknesses are known.
func forStrangers(c control.Status) control.Status {
	return control.Status{
		Version: c.Version, Index: c.Index, Board: c.Board, Slot: c.Slot, Promoted: c.Promoted, OnTrial: c.OnTrial,
		Rung: c.Rung, UptimeS: c.UptimeS, Fingerprint: c.Fingerprint,
	}
}

func (s *service) answerEvents(w http.ResponseWriter, _ *http.Request) {
	all := events.Read(s.at.events)
	if all == nil {
		all = []events.Event{} // no null
	}
	webui.WriteJSON(w, http.StatusOK, api.Events{Events: all})
}

func (s *service) answerManifests(w http.ResponseWriter, _ *http.Request) {
	have, err := s.at.readSlots()
	if err != nil {
		webui.WriteError(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer := api.Manifests{Promoted: rawOrNull(have.promotedRaw), Other: rawOrNull(have.otherRaw)}
	if s.spool != nil {
		if raw, _, err := s.spool.Manifest(); err == nil {
			if m, err := update.ParseManifest(raw); err == nil {
				answer.Spool = s.missing(m, update.HashesOf(have.promoted))
			}
		}
	}
	webui.WriteJSON(w, http.StatusOK, answer)
}

// missing is what the spool lacks of m.
func (s *service) missing(m update.Manifest, have map[string]bool) (list []api.Missing) {
	for _, p := range s.spool.Missing(m, have) {
		list = append(list, api.Missing{Name: p.Name, SHA256: p.SHA256, Size: p.Size, Have: s.spool.Partial(p)})
	}
	return list
}

func rawOrNull(raw []byte) json.RawMessage {
	if len(raw) == 0 || !json.Valid(raw) {
		return json.RawMessage("null")
	}
	return raw
}

// shortAsk is how long process 1 may take for what writes a sector or two.
const shortAsk = 30 * time.Second

func (s *service) promote(w http.ResponseWriter, r *http.Request) {
	s.askAndAnswer(w, r, control.AskPromote)
}

func (s *service) reboot(w http.ResponseWriter, r *http.Request) {
	s.askAndAnswer(w, r, control.AskReboot)
}

func (s *service) askAndAnswer(w http.ResponseWriter, r *http.Request, what string) {
	ctx, cancel := context.WithTimeout(r.Context(), shortAsk)
	defer cancel()
	s.log.Info("web", "asked", what, "by", r.RemoteAddr)
	if err := s.at.ask(ctx, what); err != nil {
		s.refuse(w, r, err)
		return
	}
	webui.WriteJSON(w, http.StatusOK, api.Done{OK: true})
}

// refuse answers with the status that fits an error.
func (s *service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := refusalCode(err)
	s.log.Warn("web: refused", "path", r.URL.Path, "by", r.RemoteAddr, "error", err)
	webui.WriteError(w, code, err.Error())
}

func refusalCode(err error) int {
	var no refusal
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, update.ErrNoKey), errors.Is(err, update.ErrSignature):
		return http.StatusForbidden
	case errors.Is(err, update.ErrNoSpace):
		return http.StatusInsufficientStorage
	case errors.Is(err, errHeader), errors.Is(err, update.ErrSkip):
		return http.StatusBadRequest
	case errors.As(err, &no), errors.Is(err, errBusy), errors.Is(err, update.ErrOlder),
		errors.Is(err, update.ErrAlready), errors.Is(err, update.ErrBoard), errors.Is(err, update.ErrLayout):
		return http.StatusConflict
	case errors.Is(err, update.ErrManifest), errors.Is(err, update.ErrFormat), errors.Is(err, update.ErrBundle),
		errors.Is(err, update.ErrPart), errors.Is(err, errRoot):
		return http.StatusUnprocessableEntity
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// Recordings of a source: listed, downloaded, removed.

package api

import (
	"errors"
	"mime"
	"net/http"
	"os"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/webm"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Recordings are the files of this server; *webm.Library has them.
type Recordings interface {
	List(customer int64, source wire.ID) []webm.Recording
	Open(customer int64, source wire.ID, name string) (*os.File, error) // webm.ErrUnknown
	Remove(customer int64, source wire.ID, name string) error           // webm.ErrUnknown, webm.ErrActive
}

// recordings finds the source whose recordings a path names.
func (a *API) recordings(r *http.Request, caller Caller) (store.Source, error) {
	s, err := a.source(r, caller)
	if err == nil && a.config.Recordings == nil {
		err = problem(http.StatusNotFound, "not-recorded",
			"this server records nothing: its setting record.folder says where it should")
	}
	return s, err
}

func (a *API) listRecordings(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	q := queryOf(r, "limit", "after")
	limit, after := q.limit(), q.cursor()
	if q.err != nil {
		return answer{}, q.err
	}
	s, err := a.recordings(r, caller)
	if err != nil {
		return answer{}, err
	}
	var part []webm.Recording
	for _, one := range a.config.Recordings.List(s.Customer, s.ID) {
		if one.Name > after && len(part) <= limit { // names are in the order of time
			part = append(part, one)
		}
	}
	return answer{body: pageOf(part, limit, func(r webm.Recording) string { return r.Name })}, nil
}

// writeRecording sends a file, or the range of it that a player asks for.
func (a *API) writeRecording(w http.ResponseWriter, r *http.Request, caller Caller) error {
	s, err := a.recordings(r, caller)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	f, err := a.config.Recordings.Open(s.Customer, s.ID, name)
	if err != nil {
		return explainRecording(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "video/webm")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	http.ServeContent(&patientWriter{ResponseWriter: w, control: http.NewResponseController(w)}, r, "",
		info.ModTime(), f)
	return nil
}

func explainRecording(err error) error {
	switch {
	case errors.Is(err, webm.ErrUnknown):
		return notFound("recording")
	case errors.Is(err, webm.ErrActive):
		return problem(http.StatusConflict, "active",
			"this recording is being written: stop its stream, or wait until the next file begins")
	}
	return err
}

func (a *API) removeRecording(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	s, err := a.recordings(r, caller)
	if err != nil {
		return answer{}, err
	}
	name := r.PathValue("name")
	if err := a.config.Recordings.Remove(s.Customer, s.ID, name); err != nil {
		return answer{}, explainRecording(err)
	}
	a.note(r.Context(), store.Event{Customer: s.Customer, Source: s.ID, Kind: "recording removed", Words: name})
	return answer{}, nil
}

// fileIdle is how long a client may take for one piece of a file: a player that pauses comes back with
// another range.
const fileIdle = time.Minute

// A patientWriter has no limit of time for the whole of a file, but one for each piece.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	bad     bool // the answer says that a range is wrong
}

// WriteHeader makes a problem of a refusal of ServeContent.
func (w *patientWriter) WriteHeader(status int) {
	w.bad = status >= http.StatusBadRequest
	if !w.bad {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.Header().Del("Content-Disposition")
	p := problem(status, "range", "the range that was asked for is not in the file: Content-Range says how long it is")
	_ = p.write(w.ResponseWriter) // whoever is gone needs no answer
}

// Write passes on a piece, within its time.
func (w *patientWriter) Write(b []byte) (int, error) {
	if w.bad {
		return len(b), nil // ServeContent's own words
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(fileIdle)) // a server without deadlines has its own limits
	return w.ResponseWriter.Write(b)
}

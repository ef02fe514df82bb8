// The run of a stream, a line a second, as CSV (RFC 4180).

package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/history"
	"github.com/krazycam/krazycam/farend/store"
)

// csvIdle is how long a client may take for the lines of one stream.
const csvIdle = 30 * time.Second

// writeAllCSV writes what is kept of all streams that run here and that the caller sees.
func (a *API) writeAllCSV(w http.ResponseWriter, r *http.Request, caller Caller) error {
	q := queryOf(r, "customer")
	customer, ok := q.customer(caller)
	switch {
	case q.err != nil:
		return q.err
	case !ok:
		return notFound("customer")
	}
	all, err := a.config.Store.ActiveStreams(r.Context(), store.StreamFilter{Customer: customer})
	if err != nil {
		return err
	}
	return a.writeCSV(w, r, "streams", all)
}

// writeCSV writes stream after stream: at most the rows of one are in memory.
func (a *API) writeCSV(w http.ResponseWriter, r *http.Request, name string, streams []store.Stream) error {
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".csv"}))
	control := http.NewResponseController(w)
	text := []byte("stream,source,customer," + history.CSVHeader + "\r\n")
	var rows []history.Row
	for _, s := range streams {
		rows = a.config.History.Rows(s.ID, rows[:0])
		text = a.appendRun(text, s, rows)
		_ = control.SetWriteDeadline(time.Now().Add(csvIdle)) // a server without deadlines has its own limits
		if _, err := w.Write(text); err != nil {
			a.config.Log.Debug("api: CSV", "to", r.RemoteAddr, "error", err)
			return nil // whoever asked is gone
		}
		_ = control.Flush()
		text = text[:0]
	}
	_, _ = w.Write(text) // the header, if there is no stream
	return nil
}

// appendRun appends the rows of one stream, and how it ended or, if nothing of it is kept here, how it was
// when it was kept last.
func (a *API) appendRun(text []byte, s store.Stream, rows []history.Row) []byte {
	line := func(row *history.Row, state string) {
		text = append(appendCell(append(append(text, s.ID...), ','), s.Source.String()), ',')
		text = append(strconv.AppendInt(text, s.Customer, 10), ',')
		text = append(row.AppendCSV(text, state), "\r\n"...)
	}
	for i := range rows {
		line(&rows[i], rows[i].State())
	}
	if s.StatsAt.IsZero() || len(rows) > 0 && s.Ended.IsZero() {
		return text
	}
	at := s.Ended
	if at.IsZero() {
		at = s.StatsAt
	}
	last := history.MakeRow(&s.Stats, at)
	state := history.StateEnded
	if s.Ended.IsZero() {
		state = last.State()
	}
	line(&last, state)
	return text
}

// appendCell quotes what would break a line, or what a spreadsheet would calculate.
func appendCell(text []byte, cell string) []byte {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		cell = "'" + cell
	}
	if !strings.ContainsAny(cell, ",\"\r\n") {
		return append(text, cell...)
	}
	return append(append(append(text, '"'), strings.ReplaceAll(cell, `"`, `""`)...), '"')
}

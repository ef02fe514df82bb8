// What is counted as it happens.

package metrics

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// other stands for whatever has no series of its own.
const other = "other"

// actions are those of the protocol: whatever else is asked for is "other".
func actions() []string {
	return []string{wire.ActionNewUtilizationID, wire.ActionStartStream, wire.ActionValidateStream,
		wire.ActionStopStream, "get_data", "put_data", "admin"}
}

// GatewayRequest counts a request that the gateway answered; code is its error code, 0 for none.
func (m *Metrics) GatewayRequest(action string, code int, took time.Duration) {
	if !slices.Contains(actions(), action) {
		action = other
	}
	text := strconv.Itoa(code)
	if code != 0 && (code < 4000 || code > 5999) { // the protocol has 21, its first three digits are a status
		text = other
	}
	m.requests.WithLabelValues(action, text).Inc()
	m.took.WithLabelValues(action).Observe(took.Seconds())
}

// requestMax and answerMax bound what of a request and an answer is looked at; a gateway takes no longer
// ones, and a refusal is short.
const (
	requestMax = 64 << 10
	answerMax  = 1 << 10
)

// Gateway counts what next, a gateway, is asked and what it answers.
func (m *Metrics) Gateway(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		asked := &head{most: requestMax}
		answered := &answerHead{ResponseWriter: w, head: head{most: answerMax}}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, asked), r.Body}
		next.ServeHTTP(answered, r)
		var request struct {
			Action string `json:"action"`
		}
		var refusal struct {
			Code int `json:"error_code"`
		}
		_ = json.Unmarshal(asked.bytes, &request) // what cannot be read has no action
		if answered.status >= http.StatusBadRequest {
			_ = json.Unmarshal(answered.bytes, &refusal)
		}
		m.GatewayRequest(request.Action, refusal.Code, time.Since(began))
	})
}

// A head keeps the first bytes of what is written.
type head struct {
	bytes []byte
	most  int
}

// Write keeps what there is room for.
func (h *head) Write(b []byte) (int, error) {
	h.bytes = append(h.bytes, b[:min(len(b), h.most-len(h.bytes))]...)
	return len(b), nil
}

// An answerHead keeps the status and the first bytes of an answer.
type answerHead struct {
	http.ResponseWriter
	head
	status int
}

// WriteHeader notes the status.
func (w *answerHead) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write keeps what there is room for, and writes all.
func (w *answerHead) Write(b []byte) (int, error) {
	_, _ = w.head.Write(b) // which does not fail
	return w.ResponseWriter.Write(b)
}

// Unwrap is for an http.ResponseController.
func (w *answerHead) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// APIRequest counts a request to the JSON API.
func (m *Metrics) APIRequest(method string, status int) {
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}, method) {
		method = other
	}
	m.asked.WithLabelValues(method, strconv.Itoa(status)).Inc()
}

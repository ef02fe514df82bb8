// What is counted as it happens.

package metrics

import (
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

// APIRequest counts a request to the JSON API.
func (m *Metrics) APIRequest(method string, status int) {
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}, method) {
		method = other
	}
	m.asked.WithLabelValues(method, strconv.Itoa(status)).Inc()
}

// DatabaseError counts an operation that the database did not do. operation is one of few words of the
// caller's own.
func (m *Metrics) DatabaseError(operation string) { m.database.WithLabelValues(operation).Inc() }

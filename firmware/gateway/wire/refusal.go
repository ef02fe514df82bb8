// Refusals: the code table of the protocol, also in an owner's words.

package wire

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// The codes, by what they mean. The first three digits are the HTTP status.
const (
	CodeNoAction             = 4001
	CodeNoKey                = 4002
	CodeNoUtilization        = 4003
	CodeNoDescriptor         = 4004
	CodeNoData               = 4005
	CodeNoAdministrator      = 4006
	CodeKeyInvalid           = 4011
	CodeUtilizationInvalid   = 4012
	CodeKeyMismatch          = 4013
	CodeKeyUnset             = 4051
	CodeUtilizationUnset     = 4052
	CodeAdministratorInvalid = 4053
	CodeNotReceived          = 4081
	CodeAlreadyActive        = 4091
	CodeNotRunning           = 4092
	CodeNotAnalysed          = 4093
	CodeCodecUnsupported     = 4151
	CodeNoListener           = 5001
	CodeNotCaptured          = 5002
	CodeGetDataFailed        = 5003
	CodeStatusFailed         = 5004
	CodeUnknownAction        = 5011
	CodeServerUnreachable    = 5031
)

// A Refusal is a well-formed answer that says no. Everything else that can go wrong (no
// route, bad JSON) is an ordinary error.
type Refusal struct {
	Action string // what was asked, such as "start_stream"
	Code   int    // four digits, the first three an HTTP status: 4011, 4091, 5031
	Reason string // the gateway's own words, for the log only
}

// Error has code, meaning and the gateway's own words.
func (r *Refusal) Error() string {
	s := fmt.Sprintf("gateway: %s refused with %d: %s", r.Action, r.Code, ExplainCode(r.Code))
	if r.Reason != "" {
		s += fmt.Sprintf(" (%q)", r.Reason)
	}
	return s
}

// IsPassing says that the refusal is about the moment and not about the request: an HTTP server is
// busy (429) or lost patience (408, 425). The protocol's own 4081 is none of them.
func (r *Refusal) IsPassing() bool {
	switch r.Code / 10 {
	case http.StatusRequestTimeout:
		return r.Code != CodeNotReceived
	case http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return false
}

// Codes lists every code of the protocol, in order. A source understands all of them.
func Codes() []int { return slices.Sorted(maps.Keys(explained)) }

// ExplainCode says in an owner's words what a code means and who can mend it. A code that the
// table lacks is explained by its first three digits.
func ExplainCode(code int) string {
	if words, known := explained[code]; known {
		return words
	}
	if code/10 == http.StatusTooManyRequests {
		return "the gateway has too many requests and makes us wait (HTTP 429)"
	}
	switch code / 1000 {
	case 4:
		return fmt.Sprintf("the gateway takes our request for a mistake (HTTP %d): one of the two has a defect",
			code/10)
	case 5:
		return fmt.Sprintf("the gateway has a fault of its own (HTTP %d)", code/10)
	}
	return "the gateway said no with a code nobody knows"
}

// explained has every code of the table.
var explained = map[int]string{
	CodeNoAction:           "the gateway saw no action in our request: one of the two has a defect",
	CodeNoKey:              "the gateway wants an API key: set gateway.key",
	CodeNoUtilization:      "the gateway saw no utilization id in our request: one of the two has a defect",
	CodeNoDescriptor:       "the gateway misses width, height or key in our request: one of the two has a defect",
	CodeNoData:             "the gateway wants data that a source does not have",
	CodeNoAdministrator:    "the gateway wants an administrator's credentials, which a source does not have",
	CodeKeyInvalid:         "the API key is not valid: correct gateway.key, or enter the key at the gateway",
	CodeUtilizationInvalid: "the gateway does not know our utilization id (any more): a new one is asked for",
	CodeKeyMismatch: "our utilization id belongs to another API key: " +
		"correct gateway.key, or mend it at the gateway",
	CodeKeyUnset:             "the API key is not configured at the gateway: its administrator must do that",
	CodeUtilizationUnset:     "our utilization id is not configured at the gateway: its administrator must do that",
	CodeAdministratorInvalid: "the gateway wants a valid administrator, which a source is not",
	CodeNotReceived:          "no picture reached the video server in time: is its UDP port open on the way?",
	CodeAlreadyActive:        "the stream is already active",
	CodeNotRunning:           "the gateway says that our stream is not running",
	CodeNotAnalysed:          "the stream is not analysed at the gateway",
	CodeCodecUnsupported:     "the video server does not take VP8",
	CodeNoListener:           "the video server cannot listen for the stream",
	CodeNotCaptured:          "the video server cannot capture the stream",
	CodeGetDataFailed:        "the gateway cannot process 'get_data'",
	CodeStatusFailed:         "the gateway cannot note the stream's state",
	CodeUnknownAction:        "the gateway does not know our request: is gateway.url the right address?",
	CodeServerUnreachable:    "the gateway cannot reach the video server",
}

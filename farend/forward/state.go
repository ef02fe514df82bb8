// What is known of a forwarding, for the API and for metrics.

package forward

import (
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// States of a forwarding.
const (
	StateConnecting = "connecting" // nothing went wrong yet
	StateSending    = "sending"
	StateFailing    = "failing" // Error says why; it is tried again
)

// A State is one forwarding and its counts since the stream began.
type State struct {
	Stream   string  `json:"stream"`
	Customer int64   `json:"customer"`
	Source   wire.ID `json:"source"`
	Kind     string  `json:"kind"`   // ToRTP, ToJanus or ToWHIP
	Target   string  `json:"target"` // address or URL, without secrets; "": none yet
	State    string  `json:"state"`
	Error    string  `json:"error,omitempty"`

	Mountpoint  uint64    `json:"mountpoint,omitempty"` // its id at Janus
	Since       time.Time `json:"since"`
	ConnectedAt time.Time `json:"connected_at,omitzero"`
	Connections uint64    `json:"connections"` // 1: it never had to begin again

	Packets    uint64 `json:"packets"` // RTP, without resends
	Bytes      uint64 `json:"bytes"`   // of them, with RTP headers
	Dropped    uint64 `json:"dropped"` // packets of the source that were not sent on
	SendErrors uint64 `json:"send_errors"`

	// What the far receiver said.
	Reports   uint64  `json:"reports"` // RR, or blocks in an SR
	Loss      float64 `json:"loss"`    // in the last one, 0 to 1
	PLIs      uint64  `json:"plis"`    // PLI and FIR
	NACKs     uint64  `json:"nacks"`   // packets that were requested
	Resent    uint64  `json:"resent"`  // of them, answered
	REMBs     uint64  `json:"rembs"`
	REMB      float64 `json:"remb"` // bit/s, of the last one
	Malformed uint64  `json:"malformed"`
	Strangers uint64  `json:"strangers"` // datagrams of other hosts, not read

	payload uint64 // bytes without headers, for sender reports
}

// state is a copy of what is known now.
func (s *sink) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.counts
	switch {
	case s.err != nil:
		st.State, st.Error = StateFailing, s.err.Error()
	case s.link != nil:
		st.State = StateSending
	}
	return st
}

// Report is for stream.Stats: it records nothing, and does not forward while there is an error.
func (s *sink) Report() (record, problem string) {
	if st := s.state(); st.Error != "" {
		return "", st.Kind + ": " + st.Error
	}
	return "", ""
}

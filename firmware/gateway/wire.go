// Package gateway is how a source asks for permission to send: the wire types,
// a client for the four requests, and the session that starts a stream when it is
// granted and ends it when the grant does.
//
// It sits around the flow, not in it: no packet passes through here. Session owns
// no goroutine of its own; Run is one. Ports are plain numbers, times are
// time.Duration, and time itself is passed in. What an answer may make us do is
// limited by Policy, because a gateway can turn bad.
//
// Source: the project's gateway protocol (four JSON requests over HTTP POST).
package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The four actions.
const (
	ActionNewUtilizationID = "new_utilization_id"
	ActionStartStream      = "start_stream"
	ActionValidateStream   = "validate_stream"
	ActionStopStream       = "stop_stream"
)

// A Request is what a source posts: strictly these fields, each only where the
// action has it.
type Request struct {
	Action      string `json:"action"`
	Key         string `json:"key,omitempty"` // secret
	Utilization ID     `json:"utilization_id,omitzero"`
	Width       int    `json:"width,omitempty"`
	Height      int    `json:"height,omitempty"`

	// Additions to start_stream, which a gateway may ignore.
	Codec string   `json:"codec,omitempty"`
	SSRC  uint32   `json:"ssrc,omitempty"`
	SRTP  []string `json:"srtp,omitempty"` // profiles that the source can do, the best first
	Offer []string `json:"offer,omitempty"`
}

// String is for logs: the request without its key.
func (r Request) String() string {
	return fmt.Sprintf("%s utilization_id=%v width=%d height=%d", r.Action, r.Utilization, r.Width, r.Height)
}

// maxID is the longest utilization_id taken; a UUID has 36 characters.
const maxID = 512

// ID is a utilization_id: a JSON string or number that goes back exactly as it
// came. The zero ID means that there is none. IDs compare with ==.
type ID struct{ literal string }

// TextID makes the ID that is the JSON string s.
func TextID(s string) ID {
	b, err := json.Marshal(s)
	if err != nil || s == "" {
		return ID{}
	}
	return ID{string(b)}
}

// IsZero tells encoding/json (omitzero) and callers that there is no ID.
func (id ID) IsZero() bool { return id.literal == "" }

// String gives a string's text or a number's digits, for people and logs.
func (id ID) String() string {
	var s string
	if json.Unmarshal([]byte(id.literal), &s) == nil {
		return s
	}
	return id.literal
}

// MarshalJSON gives the literal back as it came.
func (id ID) MarshalJSON() ([]byte, error) {
	if id.IsZero() {
		return []byte("null"), nil
	}
	return []byte(id.literal), nil
}

var errID = errors.New("utilization_id is neither text nor a number")

// UnmarshalJSON takes a string that is not empty, a number, or null for none.
func (id *ID) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if string(b) == "null" || string(b) == `""` {
		*id = ID{}
		return nil
	}
	var value any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // a float64 would turn 12345678901234567890 into another ID
	if len(b) > maxID || d.Decode(&value) != nil {
		return errID
	}
	switch value.(type) {
	case string, json.Number:
		*id = ID{string(b)}
		return nil
	}
	return errID
}

// answer is every field any good or bad answer may have.
type answer struct {
	ErrorCode   lenientInt `json:"error_code"`
	ErrorText   text       `json:"error_txt"`
	Utilization ID         `json:"utilization_id"`
	URL         string     `json:"url"`
	RTPPort     lenientInt `json:"rtp_port"`
	RTCPPort    lenientInt `json:"rtcp_port"`
	KeepAlive   optional   `json:"keepalive_s"`
	Profile     string     `json:"srtp_profile"`
	SourceKey   string     `json:"srtp_key"`  // secret
	ReceiverKey string     `json:"srtcp_key"` // secret
	RTX         yes        `json:"rtx"`
	Transport   optional   `json:"twcc"`
	CaptureTime optional   `json:"ntp-64"`
	Validation  lenientInt `json:"validation_code"`
	Explanation text       `json:"validation_txt"`
}

// lenientInt takes 5004, 5004.0 and "5004"; Said tells 0 from nothing.
type lenientInt struct {
	N    int
	Said bool
}

// UnmarshalJSON refuses what is no whole number.
func (n *lenientInt) UnmarshalJSON(b []byte) error {
	s := strings.TrimSpace(strings.Trim(string(b), `"`))
	if s == "null" || s == "" {
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != float64(int32(f)) {
		return fmt.Errorf("%.20q is not a whole number", s)
	}
	*n = lenientInt{int(f), true}
	return nil
}

// optional is a number of an extension: one that cannot be read is as good as none.
type optional struct{ lenientInt }

// UnmarshalJSON never fails.
func (n *optional) UnmarshalJSON(b []byte) error {
	if n.lenientInt.UnmarshalJSON(b) != nil {
		n.lenientInt = lenientInt{}
	}
	return nil
}

// yes is a switch of an extension: true, 1 or "1"; anything else is no.
type yes bool

// UnmarshalJSON never fails.
func (y *yes) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	*y = s == "true" || s == "1"
	return nil
}

// text is words for the log: anything that is not a string is kept as JSON.
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	*t = text(printable(s))
	return nil
}

// printable keeps a gateway's words from forging log lines or flooding them.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return strings.TrimSpace(s)
}

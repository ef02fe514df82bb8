// What a source says of itself to the gateway's operator.

package wire

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// The most characters of a Board's texts; what is longer is cut. The whole of it stays far below
// the smallest limit that an HTTP server has for a request.
const (
	maxBoardWord = 64        // serial, version, slot, board
	maxBoardText = 128       // model, camera
	maxBoardWhy  = 200       // failed_because
	maxUptimeS   = 100 << 30 // 3,400 years; more is a clock that went wrong
)

// A Board is facts for the operator of many boards: an addition to start_stream and validate_stream.
// All of it is what the board says of itself, for people and for the choice of who is offered an
// update; nothing is granted by it. What is not known is left out.
type Board struct {
	Serial  string `json:"serial,omitempty"`
	Model   string `json:"model,omitempty"`   // as the device tree names it
	Board   string `json:"board,omitempty"`   // whose images it runs: rpi, bbb
	Version string `json:"version,omitempty"` // that runs
	Index   int64  `json:"index,omitempty"`   // of that version, which only grows; 0: not known
	Slot    string `json:"slot,omitempty"`    // that runs: a, b
	Trial   bool   `json:"trial,omitempty"`   // the version that runs is on trial
	Camera  string `json:"camera,omitempty"`

	UptimeS      int64    `json:"uptime_s,omitempty"`
	TemperatureC *float64 `json:"temperature_c,omitempty"` // nil: no sensor
	Undervoltage *bool    `json:"undervoltage,omitempty"`  // now; nil: no sensor

	// After a fallback, until another version was promoted.
	FailedVersion string `json:"failed_version,omitempty"`
	FailedIndex   int64  `json:"failed_index,omitempty"` // of that version; 0: not known
	FailedBecause string `json:"failed_because,omitempty"`
}

// Limited is b with every text printable and cut to its limit, and no number out of its range.
func (b Board) Limited() Board {
	for _, one := range []struct {
		text *string
		max  int
	}{
		{&b.Serial, maxBoardWord}, {&b.Board, maxBoardWord}, {&b.Version, maxBoardWord}, {&b.Slot, maxBoardWord},
		{&b.FailedVersion, maxBoardWord}, {&b.Model, maxBoardText}, {&b.Camera, maxBoardText},
		{&b.FailedBecause, maxBoardWhy},
	} {
		*one.text = cutText(*one.text, one.max)
	}
	b.Index, b.FailedIndex = max(b.Index, 0), max(b.FailedIndex, 0)
	b.UptimeS = min(max(b.UptimeS, 0), maxUptimeS)
	if t := b.TemperatureC; t != nil {
		rounded := math.Round(*t*10) / 10
		b.TemperatureC = &rounded
		if math.IsNaN(rounded) || math.Abs(rounded) > 1000 {
			b.TemperatureC = nil
		}
	}
	return b
}

// cutText keeps the first limit characters of what can be printed.
func cutText(s string, limit int) string {
	s = Printable(s)
	if r := []rune(s); len(r) > limit {
		s = strings.TrimSpace(string(r[:limit]))
	}
	return s
}

// UnmarshalJSON never fails: what cannot be read counts as not said. The result is Limited.
func (b *Board) UnmarshalJSON(text []byte) error {
	*b = Board{}
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return nil
	}
	for name, to := range map[string]*string{
		"serial": &b.Serial, "model": &b.Model, "board": &b.Board, "version": &b.Version, "slot": &b.Slot,
		"camera": &b.Camera, "failed_version": &b.FailedVersion, "failed_because": &b.FailedBecause,
	} {
		*to = lenientText(fields[name])
	}
	for name, to := range map[string]*int64{"index": &b.Index, "failed_index": &b.FailedIndex} {
		if n, ok := lenientNumber(fields[name]); ok {
			*to = int64(min(max(n, 0), 1<<53)) // what a JSON number holds exactly
		}
	}
	if n, ok := lenientNumber(fields["uptime_s"]); ok {
		b.UptimeS = int64(min(max(n, 0), maxUptimeS))
	}
	if n, ok := lenientNumber(fields["temperature_c"]); ok {
		b.TemperatureC = &n
	}
	if word, said := fields["undervoltage"]; said && string(word) != "null" {
		low := lenientBool(word)
		b.Undervoltage = &low
	}
	b.Trial = lenientBool(fields["trial"])
	*b = b.Limited()
	return nil
}

// lenientText takes text and numbers; anything else is "".
func lenientText(b json.RawMessage) string {
	var s string
	if json.Unmarshal(b, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(b, &n) == nil {
		return n.String()
	}
	return ""
}

// lenientNumber takes 5, 5.5 and "5".
func lenientNumber(b json.RawMessage) (float64, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(lenientText(b)), 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// lenientBool takes what Bool takes.
func lenientBool(b json.RawMessage) bool {
	var y Bool
	_ = y.UnmarshalJSON(b) // never fails
	return bool(y)
}

// What is posted, read liberally.

package gateway

import (
	"encoding/json"
	"math"
	"net/netip"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// The actions of others than sources.
const (
	actionGetData = "get_data"
	actionPutData = "put_data"
	actionAdmin   = "admin"
)

// A call is a request on its way to the answer.
type call struct {
	request
	from     netip.Addr // the asker; not valid: unknown
	isSecure bool       // it came over https
	host     string     // by which the asker reached us

	// What the request showed so far.
	customer store.Customer
	source   store.Source
	isProven bool // customer and source are whom an update may be offered
}

// request is what was posted; what is missing or unreadable is its zero value.
type request struct {
	action, key   string
	utilization   wire.ID
	width, height int
	codec         string
	ssrc          uint32   // of the stream; 0: not said
	profiles      []string // of SRTP
	offer         []string
	board         wire.Board
	fields        map[string]json.RawMessage // all of it
}

func parseRequest(body []byte) (request, *wire.Refusal) {
	var r request
	if json.Unmarshal(body, &r.fields) != nil || r.fields == nil {
		return request{}, refuse(wire.CodeNoAction, "the request is not one JSON object")
	}
	var width, height, ssrc json.Number // takes 640 and "640"
	for name, to := range map[string]any{
		"action": &r.action, "key": &r.key, "utilization_id": &r.utilization,
		"width": &width, "height": &height, "codec": &r.codec, "ssrc": &ssrc, "srtp": &r.profiles,
		"offer": &r.offer, "board": &r.board,
	} {
		if value, said := r.fields[name]; said {
			_ = json.Unmarshal(value, to) // unreadable is missing: each has its own code
		}
	}
	r.width, r.height, r.ssrc = parseSide(width), parseSide(height), parseSSRC(ssrc)
	if r.action == "" {
		return r, refuse(wire.CodeNoAction, "no action argument")
	}
	return r, nil
}

// parseSide gives 0 for what is no side of a VP8 picture (14 bits, RFC 6386 section 9.1).
func parseSide(n json.Number) int {
	f, err := n.Float64()
	if err != nil || f < 1 || f >= 1<<14 || f != math.Trunc(f) {
		return 0
	}
	return int(f)
}

// parseSSRC gives 0 for what is no SSRC: 32 bits (RFC 3550 section 5.1). It takes 5 and 5.0.
func parseSSRC(n json.Number) uint32 {
	f, err := n.Float64()
	if err != nil || f < 0 || f > math.MaxUint32 || f != math.Trunc(f) {
		return 0
	}
	return uint32(f)
}

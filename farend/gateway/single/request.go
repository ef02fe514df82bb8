// What a source posts, read liberally.

package single

import (
	"encoding/json"
	"math"
	"net/netip"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// request is what was posted; what is missing or unreadable is its zero value.
type request struct {
	action, key   string
	utilization   wire.ID
	width, height int
	ssrc          uint32   // of the stream; 0: not said
	profiles      []string // of SRTP
	board         wire.Board
	secure        bool // came over https
	from          netip.Addr
}

func parseRequest(body []byte) (request, *wire.Refusal) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return request{}, refuse(wire.CodeNoAction, "the request is not one JSON object")
	}
	var r request
	var width, height, ssrc json.Number // takes 640 and "640"
	for name, to := range map[string]any{
		"action": &r.action, "key": &r.key, "utilization_id": &r.utilization,
		"width": &width, "height": &height, "ssrc": &ssrc, "srtp": &r.profiles,
		"board": &r.board,
	} {
		if value, said := fields[name]; said {
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
	i, err := n.Int64()
	if err != nil || i < 1 || i >= 1<<14 {
		return 0
	}
	return int(i)
}

// parseSSRC gives 0 for what is no SSRC: 32 bits (RFC 3550 section 5.1). It takes 5 and 5.0.
func parseSSRC(n json.Number) uint32 {
	f, err := n.Float64()
	if err != nil || f < 0 || f > math.MaxUint32 || f != math.Trunc(f) {
		return 0
	}
	return uint32(f)
}

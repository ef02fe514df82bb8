// What a source posts, read liberally.

package gateway

import (
	"encoding/json"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// request is what was posted; what is missing or unreadable is its zero value.
type request struct {
	action, key   string
	utilization   wire.ID
	width, height int
	profiles      []string // of SRTP
	secure        bool     // came over https
}

func parseRequest(body []byte) (request, *wire.Refusal) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return request{}, refuse(wire.CodeNoAction, "the request is not one JSON object")
	}
	var r request
	var width, height json.Number // takes 640 and "640"
	for name, to := range map[string]any{
		"action": &r.action, "key": &r.key, "utilization_id": &r.utilization,
		"width": &width, "height": &height, "srtp": &r.profiles,
	} {
		if value, said := fields[name]; said {
			_ = json.Unmarshal(value, to) // unreadable is missing: each has its own code
		}
	}
	r.width, r.height = parseSide(width), parseSide(height)
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

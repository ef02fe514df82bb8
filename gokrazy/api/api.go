// Package api is the vocabulary of a board's HTTPS: the paths, and the JSON objects that go both ways.
//
// camweb answers, package remote asks; docs/api.md is the same for people. Every answer is one JSON
// object; one that says no is an Error. The package owns nothing and starts nothing.
package api

import (
	"encoding/json"

	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
)

// User is the only user that a board knows.
const User = "admin"

// Port is where a board listens.
const Port = "443"

// The paths. Status may be asked without a password.
const (
	StatusPath   = "/api/v1/status"   // GET: Status
	EventsPath   = "/api/v1/events"   // GET: Events
	ManifestPath = "/api/v1/manifest" // GET: Manifests
	UpdatePath   = "/api/v1/update"   // POST of a bundle: Taken
	PromotePath  = "/api/v1/promote"  // POST: Done
	RebootPath   = "/api/v1/reboot"   // POST: Done
)

// SkipHeader, in the POST of a bundle, is how many bytes of its first part are left out, because the
// board has them: at most the part's Have.
const SkipHeader = "Krazycam-Skip"

// A Status is what a board says of itself. Without a password it has only what a stranger may see:
// no serial number, no names, no reasons.
type Status struct {
	control.Status
	Streaming   bool   `json:"streaming"`      // packets leave
	PasswordSet bool   `json:"password_set"`   // without one nothing can be changed
	Unsigned    bool   `json:"unsigned"`       // gokrazy's protocol is served, which takes unsigned roots
	Pull        string `json:"pull,omitempty"` // what the board fetches or waits for, in words
	Whole       bool   `json:"whole"`          // the password was right: nothing is left out
}

// Events are the last ones, the oldest first.
type Events struct {
	Events []events.Event `json:"events"`
}

// Manifests say what the two slots hold; null for a slot that has nothing. What the spool has
// of an update that is not whole yet is in Spool.
type Manifests struct {
	Promoted json.RawMessage `json:"promoted"`
	Other    json.RawMessage `json:"other"`
	Spool    []Missing       `json:"spool,omitempty"` // what the update in the spool still lacks
}

// Taken answers a bundle. If Missing has entries, the board has checked the manifest and waits for
// these parts, in another bundle with the same manifest; else the update is written, and the board
// restarts to try it.
type Taken struct {
	Version  string    `json:"version"`
	Index    int64     `json:"index"`
	Received int64     `json:"received"`          // bytes of parts, in this request
	Missing  []Missing `json:"missing,omitempty"` // what a bundle must bring
}

// Missing is a part that the board lacks.
type Missing struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Have   int64  `json:"have"` // bytes that have come already: see SkipHeader
}

// Done answers what needs no more words.
type Done struct {
	OK bool `json:"ok"`
}

// An Error answers whatever was not done, with the words for the owner.
type Error struct {
	Error string `json:"error"`
}

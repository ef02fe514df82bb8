// Package control is what process 1 of a board and the programs beside it say to each other: the
// status that init writes, and the requests that it takes on a socket.
//
// It is vocabulary: init, camweb and camctl share it. Files lie below /run/krazycam, in memory.
// init alone writes there; what it reads, a request, comes from a program that strangers talk to,
// and has limits. The package owns nothing between two calls.
package control

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// Where things are on a board.
const (
	Folder        = "/run/krazycam"
	StatusFile    = Folder + "/status.json"         // see Status; everybody may read it
	ManifestFile  = Folder + "/manifest.json"       // the manifest of the promoted slot as it is; everybody may read it
	OtherManifest = Folder + "/manifest-other.json" // that of the other slot, if there is a whole one
	Socket        = Folder + "/init.sock"           // for root and camweb's user

	Spool        = "/perm/update/spool" // camweb's: what AskApply writes to the other slot
	UnsignedRoot = Spool + "/root"      // what AskApplyRoot writes
)

// maxStatus bounds the file that is read: a status has about 2 kB.
const maxStatus = 64 << 10

// A Status is what a board says of itself. Slots are called a and b.
type Status struct {
	Version   string `json:"version"` // of the running slot
	Index     int64  `json:"index"`   // of the running slot's manifest; 0: it has none
	Board     string `json:"board"`   // rpi or bbb
	Model     string `json:"model"`   // as the device tree has it
	Serial    string `json:"serial"`
	Hostname  string `json:"hostname"`
	Slot      string `json:"slot"`                // runs: what is mounted at /
	Promoted  string `json:"promoted"`            // starts when nothing is tried; "": the card says nothing
	Updatable string `json:"updatable,omitempty"` // why this board takes no update; "": it does

	OnTrial bool    `json:"on_trial"`         // the running slot is not the promoted one
	Trial   *Trial  `json:"trial,omitempty"`  // the latest update, also when it is over
	Failed  *Failed `json:"failed,omitempty"` // the latest update that did not work here
	Busy    string  `json:"busy,omitempty"`   // what init does at present: it refuses requests meanwhile

	Rung      string  `json:"rung"`       // how far the stream has come, by package health
	UptimeS   float64 `json:"uptime_s"`   // when this was written: seconds since the kernel's start
	BootCause string  `json:"boot_cause"` // why the board started

	Perm        string   `json:"perm"`                  // the state of /perm in words
	LeftBehind  []string `json:"left_behind,omitempty"` // settings that only the version that failed knows
	Fingerprint string   `json:"fingerprint,omitempty"` // of the TLS certificate, SHA-256 in hexadecimal digits
}

// The states of a Trial.
const (
	StateStaged    = "staged"     // the slot is written
	StateRequested = "requested"  // the restart into it was asked for
	StateOnTrial   = "on trial"   // it runs, and has not proved itself yet
	StateJudging   = "judging"    // the board went back, and looks whether the old slot does better
	StateNotJudged = "not judged" // the old slot did no better: it will be tried again
	StateGivenUp   = "given up"   // tried three times and never judged; promote makes it boot all the same
	StateFailed    = "failed"     // the old slot did better
	StatePromoted  = "promoted"
)

// A Trial is one update of a board.
type Trial struct {
	Slot    string `json:"slot"`
	Version string `json:"version"`
	Index   int64  `json:"index"` // of its manifest: two builds may have one name
	State   string `json:"state"`
	Tries   int    `json:"tries"`            // starts of the new slot, 3 at most
	Reason  string `json:"reason,omitempty"` // why the last one ended

	RungBefore string  `json:"rung_before"`    // of the old version, before the update
	Rung       string  `json:"rung,omitempty"` // what is reached now
	HeldS      float64 `json:"held_s"`         // for how long RungBefore has been held
	NeedS      float64 `json:"need_s"`         // for how long it must be held
}

// IsOf says whether the trial is that of a version; nil is of none.
func (t *Trial) IsOf(version string, index int64) bool {
	return t != nil && t.Version == version && t.Index == index
}

// Failed is a version that did not work on this board.
type Failed struct {
	Version string    `json:"version"`
	Index   int64     `json:"index"`
	Because string    `json:"because"`
	At      time.Time `json:"at"`
}

// IsOf says whether it was a version; nil was none.
func (f *Failed) IsOf(version string, index int64) bool {
	return f != nil && f.Version == version && f.Index == index
}

// WriteStatus replaces the status at path.
func WriteStatus(path string, s Status) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("control: status: %w", err)
	}
	return atomicfile.Replace(path, 0o444, atomicfile.Bytes(append(b, '\n')))
}

// ReadStatus reads the status at path. The error is an fs.ErrNotExist if there is none.
func ReadStatus(path string) (Status, error) {
	b, err := openfile.Read(path, maxStatus)
	if err != nil {
		return Status{}, fmt.Errorf("control: status: %w", err)
	}
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return Status{}, fmt.Errorf("control: status %s: %w", path, err)
	}
	return s, nil
}

// Package health is how camsource says how far its stream has come: a small file, replaced every
// second, which process 1 of a board reads to judge an update and to end a camsource that hangs.
//
// It is vocabulary, shared by the program that writes the file and the one that reads it. The file
// is written by an unprivileged user who parses what strangers send; so Read has limits and leaves
// nothing in the words that a terminal or a page would act on. The package owns nothing and imports
// of ours only how a file is opened and replaced.
//
// Times are seconds of CLOCK_BOOTTIME, counters start with the process.
package health

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// File is where camsource writes on a board. The folder is its own and in memory.
const File = "/run/camsource/health.json"

const (
	// maxBytes bounds the file that is read: a report has about 300 bytes.
	maxBytes = 4 << 10
	// maxWords bounds each text of a report, in bytes.
	maxWords = 200
)

// A Rung is how far the stream has come. Each rung includes those below it.
type Rung string

// The rungs from the lowest. Where the owner named a receiver there is no gateway: Granted and
// Validated are left out then.
const (
	None      Rung = "none"      // camsource runs
	Camera    Rung = "camera"    // the camera is open and gives pictures
	Granted   Rung = "granted"   // the gateway has granted the stream
	Sent      Rung = "sent"      // packets leave the board
	Validated Rung = "validated" // the gateway says that the server captures the stream
	Reported  Rung = "reported"  // the receiver reports what arrives
)

// Rungs lists them from the lowest.
func Rungs() []Rung { return []Rung{None, Camera, Granted, Sent, Validated, Reported} }

// ParseRung takes a rung's name.
func ParseRung(name string) (Rung, error) {
	if r := Rung(name); slices.Contains(Rungs(), r) {
		return r, nil
	}
	return None, fmt.Errorf("health: %q is no rung", cutWords(name))
}

// Reaches says whether r is want or above it. What is no rung reaches nothing.
func (r Rung) Reaches(want Rung) bool {
	at := slices.Index(Rungs(), r)
	return at >= 0 && at >= slices.Index(Rungs(), want)
}

// A Report is what camsource knows of its stream at one moment.
type Report struct {
	Rung    Rung    `json:"rung"`
	UptimeS float64 `json:"uptime_s"` // when this was written: seconds of CLOCK_BOOTTIME

	Pictures uint64 `json:"pictures"` // usable buffers of the camera
	Frames   uint64 `json:"frames"`   // that were sent
	Packets  uint64 `json:"packets"`  // of RTP that the kernel took

	// StalledS is for how many seconds the goroutine that captures, or the one that encodes and
	// sends, has not come back from one step. Either is back within 2 s as a rule.
	StalledS float64 `json:"stalled_s,omitempty"`

	Camera  string `json:"camera,omitempty"`  // the open one's name; "": none is open
	Gateway string `json:"gateway,omitempty"` // what it has answered, in words
}

// Write replaces the report at path. It does not wait for a disk where path is in memory.
func Write(path string, r Report) error {
	r.Camera, r.Gateway = cutWords(r.Camera), cutWords(r.Gateway)
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	return atomicfile.Replace(path, 0o644, atomicfile.Bytes(append(b, '\n')))
}

// Read reads the report at path. The error is an fs.ErrNotExist if there is none.
func Read(path string) (Report, error) {
	b, err := openfile.Read(path, maxBytes)
	if err != nil {
		return Report{}, fmt.Errorf("health: %w", err)
	}
	r, err := parse(b)
	if err != nil {
		return Report{}, fmt.Errorf("health: %s: %w", path, err)
	}
	return r, nil
}

// parse checks what somebody wrote. Fields that it does not know are left out.
func parse(b []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return Report{}, err
	}
	if _, err := ParseRung(string(r.Rung)); err != nil {
		return Report{}, err
	}
	if r.UptimeS < 0 || r.StalledS < 0 {
		return Report{}, fmt.Errorf("a time of %g s and a stall of %g s: want none below 0", r.UptimeS, r.StalledS)
	}
	r.Camera, r.Gateway = cutWords(r.Camera), cutWords(r.Gateway)
	return r, nil
}

// cutWords leaves what may be shown: no line breaks, no control characters, at most maxWords bytes.
func cutWords(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > maxWords {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

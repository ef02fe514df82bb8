// What the gateway's operator hears of this board, and what the board hears of updates: both pass
// through here and change nothing of the stream. Test it with files.

package firmware

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/machine"
	"github.com/krazycam/krazycam/firmware/offer"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// maxStatusFile bounds init's status in bytes; it has about 2 kB.
const maxStatusFile = 64 << 10

// bootStatus is what of init's status a gateway may know. The file's type is control.Status, which
// belongs to gokrazy: a camsource on a PC has no init of ours.
type bootStatus struct {
	Version string `json:"version"`
	Index   int64  `json:"index"`
	Board   string `json:"board"`
	Model   string `json:"model"`
	Serial  string `json:"serial"`
	Slot    string `json:"slot"`
	OnTrial bool   `json:"on_trial"`
	Failed  *struct {
		Version string `json:"version"`
		Index   int64  `json:"index"`
		Because string `json:"because"`
	} `json:"failed"`
}

// describeBoard gives the facts of this moment, with an error, too. statusFile is init's, "" where there
// is none: what only init knows is left out then, as when the file cannot be read.
func describeBoard(statusFile string, sys fs.FS, camera string) (*wire.Board, error) {
	b := wire.Board{Camera: camera, UptimeS: int64(machine.Uptime() / time.Second)}
	if t, ok := machine.Temperature(sys); ok {
		b.TemperatureC = &t
	}
	if low, ok := machine.Undervoltage(sys); ok {
		b.Undervoltage = &low
	}
	status, err := readBootStatus(statusFile)
	b.Serial, b.Model, b.Board = status.Serial, status.Model, status.Board
	b.Version, b.Index, b.Slot, b.Trial = status.Version, status.Index, status.Slot, status.OnTrial
	if f := status.Failed; f != nil {
		b.FailedVersion, b.FailedIndex, b.FailedBecause = f.Version, f.Index, f.Because
	}
	b = b.Limited()
	return &b, err
}

func readBootStatus(path string) (bootStatus, error) {
	if path == "" {
		return bootStatus{}, nil
	}
	text, err := openfile.Read(path, maxStatusFile)
	if errors.Is(err, fs.ErrNotExist) {
		return bootStatus{}, nil // an older init, or one that has not come that far
	}
	var s bootStatus
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return bootStatus{}, err
	}
	return s, nil
}

// boardFacts is describeBoard for the session, whose goroutine calls it. A status that cannot be read
// is logged once.
func (s *Source) boardFacts() *wire.Board {
	b, err := describeBoard(s.StatusFile, os.DirFS("/sys"), s.cameraInUse)
	if err != nil && !s.statusBroken {
		s.Log.Warn("the gateway does not hear which board this is", "error", err)
	}
	s.statusBroken = err != nil
	return b
}

// An offerFile passes the gateway's offer of an update on to whoever fetches it. The session's
// goroutine alone uses it; a file in memory is written in less than a millisecond.
type offerFile struct {
	path    string         // "": nobody fetches
	gateway config.Gateway // whose CA holds for what lies on its own server
	log     *slog.Logger

	known   bool        // current is what the file says
	current offer.Offer // the zero Offer: none
	said    string      // the last problem that the log has
}

// take takes what an answer offers, nil for nothing. What stands there from the process before is
// replaced: it may be out of date.
func (f *offerFile) take(u *wire.Update) {
	var next offer.Offer
	if u != nil {
		if err := u.Check(); err != nil {
			f.complain("gateway: its update is ignored", err.Error(), err)
			u = nil
		} else {
			next = offer.Offer{URL: u.URL, Version: u.Version, Now: bool(u.Now)}
			if onServerOf(u.URL, f.gateway.URL) {
				next.CA = f.gateway.CA
			}
		}
	}
	if f.path == "" || f.known && next == f.current {
		return
	}
	err := f.replace(next)
	f.known = err == nil
	if err != nil {
		f.complain("gateway: its update is not passed on", "", err) // the error has a name of its own each time
		return
	}
	f.logChange(next)
	f.current = next
	if u != nil {
		f.said = ""
	}
}

// onServerOf says whether both URLs have the same host, port and scheme.
func onServerOf(a, b string) bool {
	first, err := url.Parse(a)
	second, otherErr := url.Parse(b)
	return err == nil && otherErr == nil && first.Scheme == second.Scheme &&
		strings.EqualFold(first.Hostname(), second.Hostname()) &&
		cmp.Or(first.Port(), "443") == cmp.Or(second.Port(), "443")
}

func (f *offerFile) replace(next offer.Offer) error {
	if next == (offer.Offer{}) {
		return offer.Remove(f.path)
	}
	return offer.Write(f.path, next)
}

func (f *offerFile) logChange(next offer.Offer) {
	switch {
	case next.IsSame(f.current) && next.Now == f.current.Now: // but for its secret
	case next != (offer.Offer{}):
		f.log.Info("gateway: offers an update", "version", next.Version, "from", next.Place(), "now", next.Now)
	case f.current != (offer.Offer{}):
		f.log.Info("gateway: no longer offers an update", "version", f.current.Version)
	}
}

// complain logs the same problem once, since an offer comes with every answer; key says which it is.
func (f *offerFile) complain(message, key string, err error) {
	if f.said == message+key {
		return
	}
	f.said = message + key
	f.log.Warn(message, "error", err)
}

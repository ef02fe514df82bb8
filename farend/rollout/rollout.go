// Package rollout brings updates to many boards that fetch them: it decides which board is offered which
// update, serves the files, and keeps what became of each board.
//
// It stands behind a gateway, which asks it with every start_stream and validate_stream. It believes what
// boards say of themselves, and grants nothing by it: a board fetches what it is offered, and checks that
// itself. Offers go to a share of the boards first, always the same ones; they end once so many boards
// fell back. The path by which a board fetches says which board it is.
//
// Rollouts has the offers of a database, which several servers may share: counts and stops are right
// across them. A Rollout has one offer and a state file.
//
// It owns no goroutine; memory, file and database are bounded by how many boards one offer may have. Time
// is passed in.
//
// Source: docs/gateway.md, the members board and update.
package rollout

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// maxBoards bounds memory and file. A key in wrong hands could invent boards without end.
const maxBoards = 10_000

// Update is what is offered, as its manifest has it.
type Update struct {
	Version string `json:"version"`
	Board   string `json:"board"` // rpi, bbb
	Index   int64  `json:"index"`
}

// Config is what a Rollout goes by.
type Config struct {
	Update
	Share     float64 // of the boards that are offered it, 0 to 1
	StopAfter int     // boards that fall back, after which nobody is offered it any more; 0: never
	Now       bool    // boards fetch at once, instead of at a random moment within an hour

	// BoardOf names the board whose images a model runs, for a source that says its model only; nil:
	// such a source is offered nothing.
	BoardOf func(model string) string

	Path  string // state file; "": nothing outlives this process
	Clock func() time.Time
	Log   *slog.Logger
}

// A Rollout is safe for use by several goroutines.
type Rollout struct {
	config Config

	mu     sync.Mutex // guards what follows; nothing is called under it
	boards map[string]*record
	tokens map[string]*record
	dirty  bool
	full   bool // a board found no place

	fellBack int // boards in that phase
}

// New goes on with what the state file knows, if that is of the same update.
func New(c Config) (*Rollout, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Rollout{config: c, boards: map[string]*record{}, tokens: map[string]*record{}}
	if err := r.load(); err != nil {
		return nil, err
	}
	return r, nil
}

// A Phase is how far one board is.
type Phase string

// The phases, in their order.
const (
	Offered   Phase = "offered"
	Fetching  Phase = "fetching"
	OnTrial   Phase = "on trial"
	NotJudged Phase = "not judged" // it went back without a verdict; it tries again by itself, three times in all
	Promoted  Phase = "promoted"
	FellBack  Phase = "fell back"
)

// A record is one board that was offered the update, runs it, or says that it failed.
type record struct {
	Board
	key string
}

// A Board is what is kept of one board.
type Board struct {
	Serial  string    `json:"serial"`
	Owner   string    `json:"owner"` // the beginning of the SHA-256 of its API key
	Phase   Phase     `json:"phase"`
	Token   string    `json:"token,omitempty"`   // in the path by which it fetches
	Bytes   int64     `json:"bytes,omitempty"`   // of the bundle, up to the last one that it fetched
	Because string    `json:"because,omitempty"` // why it fell back
	At      time.Time `json:"at"`                // of its last change of phase
}

// Consider takes what a source says of itself, and gives the token of its offer, "" for none. keyHash
// stands for its API key: two owners' boards may have one serial number.
func (r *Rollout) Consider(keyHash string, b wire.Board) (token string) {
	b = b.Limited()
	if b.Serial == "" || b.Version == "" || r.boardOf(b) != r.config.Board {
		return ""
	}
	now := r.config.Clock()
	r.mu.Lock()
	one := r.boards[recordKey(keyHash, b.Serial)]
	was := phaseOf(one)
	wasFull := r.full
	one, token = r.judge(one, keyHash, b, now)
	is := phaseOf(one)
	full := r.full && !wasFull
	fellBack := r.fellBack
	r.mu.Unlock()
	if full {
		r.config.Log.Warn("update: too many boards: further ones are offered nothing", "boards", maxBoards)
	}
	if is != was {
		r.logChange(b, was, is, fellBack)
	}
	return token
}

func phaseOf(one *record) Phase {
	if one == nil {
		return ""
	}
	return one.Phase
}

func (r *Rollout) boardOf(b wire.Board) string {
	if b.Board != "" || r.config.BoardOf == nil {
		return b.Board
	}
	return r.config.BoardOf(b.Model)
}

// judge moves a board to its phase and says whether it is offered the update. one is nil for a board that
// was offered nothing yet.
func (r *Rollout) judge(one *record, keyHash string, b wire.Board, now time.Time) (*record, string) {
	runs, failed := r.isOffered(b.Version, b.Index), r.isOffered(b.FailedVersion, b.FailedIndex)
	if one == nil && (runs || failed) {
		// It came there by another way, or the state of the last second was lost.
		one = r.add(keyHash, b.Serial, now)
	}
	switch {
	case runs && b.Trial:
		return r.move(one, OnTrial, "", now), ""
	case runs:
		return r.move(one, Promoted, "", now), ""
	case failed:
		return r.move(one, FellBack, b.FailedBecause, now), ""
	case one != nil && one.Phase == FellBack:
		return one, "" // it may have forgotten, as with a lost /perm
	case b.Index != 0 && b.Index >= r.config.Index, b.Trial:
		return one, "" // newer, or busy with another version
	case one != nil && one.Phase == OnTrial:
		r.move(one, NotJudged, "", now)
	case one != nil && one.Phase == Promoted: // its card was written anew
		one.Bytes = 0
		r.move(one, Offered, "", now)
	}
	if r.stopped() || !inShare(b.Serial, r.config.Share) {
		return one, ""
	}
	if one == nil {
		if one = r.add(keyHash, b.Serial, now); one == nil {
			return nil, ""
		}
	}
	return one, r.tokenOf(one)
}

// isOffered compares with the update. Two builds may have one name; 0 is an index that was not said.
func (r *Rollout) isOffered(version string, index int64) bool {
	return version == r.config.Version && (index == 0 || index == r.config.Index)
}

func (r *Rollout) move(one *record, to Phase, because string, now time.Time) *record {
	if one == nil || one.Phase == to {
		return one
	}
	if to == FellBack {
		r.fellBack++
	} else if one.Phase == FellBack {
		r.fellBack--
	}
	one.Phase, one.Because, one.At = to, because, now.UTC().Truncate(time.Second)
	r.dirty = true
	return one
}

// add makes a board's record; nil if there are too many.
func (r *Rollout) add(keyHash, serial string, now time.Time) *record {
	if len(r.boards) >= maxBoards {
		r.full = true
		return nil
	}
	one := &record{key: recordKey(keyHash, serial)}
	one.Serial, one.Owner = serial, owner(keyHash)
	r.boards[one.key] = one
	return r.move(one, Offered, "", now)
}

// tokenOf gives the token by which a board fetches; nobody else can guess it.
func (r *Rollout) tokenOf(one *record) string {
	if one.Token == "" {
		one.Token = rand.Text()
		r.tokens[one.Token] = one
		r.dirty = true
	}
	return one.Token
}

// stopped says whether so many boards fell back that nobody is offered the update any more.
func (r *Rollout) stopped() bool {
	return r.config.StopAfter > 0 && r.fellBack >= r.config.StopAfter
}

// ownerLength is how much of a key's hash tells owners apart.
const ownerLength = 16

func owner(keyHash string) string { return keyHash[:min(len(keyHash), ownerLength)] }

func recordKey(keyHash, serial string) string { return owner(keyHash) + " " + serial }

// inShare chooses by a hash of the serial number alone: the same boards each time, and with a larger
// share the same ones and more.
func inShare(serial string, share float64) bool {
	if share >= 1 {
		return true
	}
	sum := sha256.Sum256([]byte("krazycam rollout " + serial))
	return float64(binary.BigEndian.Uint64(sum[:8])) < share*(1<<64)
}

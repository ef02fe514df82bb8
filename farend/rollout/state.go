// The state file: a rollout outlives the process that serves it.

package rollout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	stateFormat = 1
	// maxState, in bytes, is four times what maxBoards boards need.
	maxState = 16 << 20
)

// state is the file.
type state struct {
	Format int `json:"format"`
	Update
	Boards []Board `json:"boards"`
}

// load reads the file. One of another update is as good as none: it is replaced by the first change.
func (r *Rollout) load() error {
	if r.config.Path == "" {
		return nil
	}
	b, err := openfile.Read(r.config.Path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rollout: %w", err)
	}
	all, err := parseState(b)
	if err != nil {
		return fmt.Errorf("rollout: %s: %w", r.config.Path, err)
	}
	if all.Update == r.config.Update {
		r.take(all)
	}
	return nil
}

// take begins with the boards of a state.
func (r *Rollout) take(all state) {
	for _, one := range all.Boards {
		known := &record{Board: one, key: recordKey(one.Owner, one.Serial)}
		r.boards[known.key] = known
		if one.Phase == FellBack {
			r.fellBack++
		}
		if one.Token != "" {
			r.tokens[one.Token] = known
		}
	}
}

// parseState reads the file and refuses what Save never writes.
func parseState(b []byte) (state, error) {
	var all state
	if err := json.Unmarshal(b, &all); err != nil {
		return state{}, err
	}
	if all.Format != stateFormat {
		return state{}, fmt.Errorf("format %d, this version knows %d", all.Format, stateFormat)
	}
	if len(all.Boards) > maxBoards {
		return state{}, fmt.Errorf("%d boards, more than %d", len(all.Boards), maxBoards)
	}
	known := map[string]bool{}
	for i, one := range all.Boards {
		if key := recordKey(one.Owner, one.Serial); known[key] {
			return state{}, fmt.Errorf("board %d is there twice", i+1)
		} else {
			known[key] = true
		}
		switch one.Phase {
		case Offered, Fetching, OnTrial, NotJudged, Promoted, FellBack:
		default:
			return state{}, fmt.Errorf("board %d: phase %q", i+1, wire.Printable(string(one.Phase)))
		}
		if one.Serial == "" || one.Serial != (wire.Board{Serial: one.Serial}).Limited().Serial || one.Bytes < 0 {
			return state{}, fmt.Errorf("board %d: serial %q, %d bytes", i+1, wire.Printable(one.Serial), one.Bytes)
		}
	}
	return all, nil
}

// Save writes the file if something changed: call it about once a second, and at the end. What a
// process that is killed loses is the last second, and the boards say it again within a minute.
func (r *Rollout) Save() error {
	r.mu.Lock()
	dirty := r.dirty
	r.dirty = false
	r.mu.Unlock()
	if !dirty || r.config.Path == "" {
		return nil
	}
	b, err := json.Marshal(state{Format: stateFormat, Update: r.config.Update, Boards: r.snapshot()})
	if err == nil {
		err = atomicfile.ReplaceDurably(r.config.Path, 0o600, atomicfile.Bytes(append(b, '\n')))
	}
	if err != nil {
		r.mu.Lock()
		r.dirty = true
		r.mu.Unlock()
		return fmt.Errorf("rollout: %w", err)
	}
	return nil
}

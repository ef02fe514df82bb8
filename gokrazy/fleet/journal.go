// The state file: a line for each step of each board, durable before the step is taken.

package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	journalFormat = 1
	// maxJournal, in bytes, is a hundred lines of each of maxHosts boards.
	maxJournal = 512 << 20
)

// A Step is how far a board is.
type Step string

// The steps. From Begun on a board may have the update; the others are how it ended.
const (
	Begun     Step = "begun"         // it is asked, and then sent what it lacks
	Taken     Step = "taken"         // it has all of it, and goes on by itself
	Promoted  Step = "promoted"      // it keeps the new version
	Already   Step = "already there" // it ran it before
	FellBack  Step = "fell back"     // the new version did not work on it
	NotJudged Step = "not judged"    // neither version works; it tries again by itself
	GivenUp   Step = "given up"      // neither version worked, three times: it tries no more
	Unknown   Step = "unknown"       // it took the update, and did not say how that ended
	Failed    Step = "failed"        // it did not take the update
)

// IsEnd says whether nothing more is done with such a board in this run.
func (s Step) IsEnd() bool { return s != "" && s != Begun && s != Taken }

// mayHaveIt says whether a board whose update is open may have it, and so must be asked.
func (s Step) mayHaveIt() bool {
	switch s {
	case Begun, Taken, NotJudged, GivenUp, Unknown:
		return true
	}
	return false
}

// A Row is one board, as a line of the file has it. A later line about a host replaces the earlier.
type Row struct {
	Host    string    `json:"host"`
	Step    Step      `json:"step"`
	Reason  string    `json:"reason,omitempty"` // why it is not good
	Serial  string    `json:"serial,omitempty"`
	Before  string    `json:"before,omitempty"` // the version that ran
	Slot    string    `json:"slot,omitempty"`   // runs now
	Sent    int64     `json:"sent,omitempty"`   // bytes
	Seconds float64   `json:"seconds,omitempty"`
	At      time.Time `json:"at"`
}

// An Update says what the boards get.
type Update struct {
	Version string `json:"version"`
	Board   string `json:"board"`
	Index   int64  `json:"index"`
}

// header is the first line.
type header struct {
	Format int `json:"format"`
	Update
}

// ErrOtherUpdate: the state file is of another update.
var ErrOtherUpdate = errors.New("is the state of another update")

// A journal is the open file.
type journal struct {
	file *os.File // nil: nothing outlives the Run
	rows map[string]Row
}

// openJournal reads what was done before, and makes the file if there is none. A part of a line at its
// end is what a power cut left: the step was not taken.
func openJournal(path string, u Update) (*journal, error) {
	j := &journal{rows: map[string]Row{}}
	if path == "" {
		return j, nil
	}
	f, err := openfile.Append(path, 0o600)
	if err != nil {
		return nil, err
	}
	j.file = f
	if err := j.load(path, u); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return j, nil
}

func (j *journal) load(path string, u Update) error {
	b, err := openfile.Read(path, maxJournal)
	if err != nil {
		return err
	}
	whole, err := j.parse(b, u)
	if err != nil {
		return err
	}
	if whole < len(b) {
		if err := j.file.Truncate(int64(whole)); err != nil {
			return err
		}
	}
	if whole == 0 {
		return j.write(header{journalFormat, u})
	}
	return nil
}

// parse gives the length of the whole lines.
func (j *journal) parse(b []byte, u Update) (whole int, err error) {
	for n := 0; ; n++ {
		line, _, complete := bytes.Cut(b[whole:], []byte("\n"))
		if !complete {
			return whole, nil
		}
		if n == 0 {
			err = checkHeader(line, u)
		} else {
			err = j.parseRow(line)
		}
		if err != nil {
			return 0, fmt.Errorf("line %d: %w", n+1, err)
		}
		whole += len(line) + 1
	}
}

func checkHeader(line []byte, u Update) error {
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return fmt.Errorf("no state file of camctl update: %w", err)
	}
	if h.Format != journalFormat {
		return fmt.Errorf("format %d, this camctl knows %d", h.Format, journalFormat)
	}
	if h.Update != u {
		return fmt.Errorf("%w: of %.80q for %.20q: remove it, or name another file with --state",
			ErrOtherUpdate, h.Version, h.Board)
	}
	return nil
}

func (j *journal) parseRow(line []byte) error {
	var row Row
	if err := json.Unmarshal(line, &row); err != nil {
		return err
	}
	switch row.Step {
	case Begun, Taken, Promoted, Already, FellBack, NotJudged, GivenUp, Unknown, Failed:
	default:
		return fmt.Errorf("unknown step %.40q", row.Step)
	}
	if checkHost(row.Host) != nil || row.Host != strings.ToLower(row.Host) {
		return fmt.Errorf("%.80q is no host", row.Host)
	}
	j.rows[row.Host] = row
	return nil
}

// note makes a row durable.
func (j *journal) note(row Row) error {
	j.rows[row.Host] = row
	return j.write(row)
}

// write appends one line; a line that could not be written whole is taken back.
func (j *journal) write(v any) error {
	if j.file == nil {
		return nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	end, err := j.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return errors.Join(err, j.file.Truncate(end))
	}
	return j.file.Sync()
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

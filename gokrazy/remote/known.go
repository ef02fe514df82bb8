// The fingerprints that camctl remembers: of the cards that it made, and of the hosts that it has asked.

package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	knownFormat = 1
	maxKnown    = 8 << 20 // bytes: 30,000 boards
)

// Known is the file of remembered fingerprints. camctl flash does not know the address that a card's
// board will have: it adds the fingerprint alone, and the hosts that show it are bound to it. A board has
// more than one name: its addresses change, and each of them may be asked.
//
// It may be used by several goroutines. Of two processes that change it in the same moment, one
// change may be lost: camctl then asks again.
type Known struct {
	path  string
	owner int        // who is given the file and its folder; nobody: they stay as they are
	mu    sync.Mutex // held while the file is read and replaced
}

// known is the file.
type known struct {
	Format int               `json:"format"`
	Hosts  map[string]string `json:"hosts"` // fingerprints, by HOST:PORT
	Made   []made            `json:"made"`  // by camctl flash, not bound to a host yet
}

type made struct {
	Fingerprint string    `json:"fingerprint"`
	At          time.Time `json:"at"`
}

// OpenUsersKnown is the file of the user who runs this program, below the user's configuration folder; it
// need not exist yet.
// Under sudo, which camctl flash mostly needs, that is the user who called sudo: camctl update will run
// without it.
func OpenUsersKnown() (*Known, error) {
	dir, owner, err := sudoersFolder()
	if err == nil && dir == "" {
		dir, err = os.UserConfigDir()
	}
	if err != nil {
		return nil, fmt.Errorf("no folder to remember fingerprints in: %w", err)
	}
	return &Known{path: filepath.Join(dir, "krazycam", "boards.json"), owner: owner}, nil
}

// nobody is the owner of a file that stays whose process made it.
const nobody = -1

// sudoersFolder is the configuration folder and number of the user who called sudo; "" if nobody did.
// Source: sudo(8), ENVIRONMENT.
func sudoersFolder() (dir string, id int, err error) {
	number := os.Getenv("SUDO_UID")
	if number == "" || number == "0" || os.Geteuid() != 0 {
		return "", nobody, nil
	}
	u, err := user.LookupId(number)
	if err != nil {
		return "", nobody, err
	}
	if id, err = strconv.Atoi(number); err != nil {
		return "", nobody, err
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(u.HomeDir, "Library", "Application Support"), id, nil
	}
	return filepath.Join(u.HomeDir, ".config"), id, nil
}

// Remember binds a host to a fingerprint.
func (k *Known) Remember(host, fingerprint string) error {
	return k.change(func(all *known) { all.bind(withPort(host), fingerprint) })
}

// AddMade adds the fingerprint of a card that was made at a time.
func (k *Known) AddMade(fingerprint string, at time.Time) error {
	return k.change(func(all *known) { all.Made = append(all.Made, made{fingerprint, at.UTC().Truncate(time.Second)}) })
}

// Look asks a host for its certificate and whether it is known. One that is bound is asked, too: its card
// may have been made anew here.
func (k *Known) Look(ctx context.Context, host string) (fingerprint string, known bool, err error) {
	if fingerprint, err = FetchFingerprint(ctx, host); err != nil {
		return "", false, err
	}
	known, err = k.Recognise(host, fingerprint)
	return fingerprint, known, err
}

// Recognise says whether a host that shows this certificate is known: it was bound to it before, the
// card was made here, or it is a new name of a board that is known by another one. In the last two cases
// it is bound now. A host that is bound to another certificate is an ErrFingerprint, unless its card was
// made anew here: one board's key, taken from its card, must not open the others' addresses.
func (k *Known) Recognise(host, fingerprint string) (bool, error) {
	host = withPort(host)
	recognised := false
	var bound, sameBoard string
	err := k.change(func(all *known) {
		bound, sameBoard = all.Hosts[host], all.hostOf(fingerprint)
		recognised = bound == fingerprint || all.madeHere(fingerprint) || bound == "" && sameBoard != ""
		if recognised {
			all.bind(host, fingerprint)
		}
	})
	if err == nil && !recognised && bound != "" {
		err = fmt.Errorf("%s: %w: it is %s, known is %s; %s, say --fingerprint with what its console shows",
			host, ErrFingerprint, fingerprint, bound, whatMayBe(sameBoard))
	}
	return recognised && err == nil, err
}

// whatMayBe is why a host may rightly show another certificate. sameBoard is a host that has shown it.
func whatMayBe(sameBoard string) string {
	if sameBoard != "" {
		return "it is that of " + sameBoard + ": if the two boards changed their addresses"
	}
	return "if its card was written anew"
}

// hostOf is a host that is bound to a fingerprint, the first one by name; "" if none is.
func (all *known) hostOf(fingerprint string) (host string) {
	for h, f := range all.Hosts {
		if f == fingerprint && (host == "" || h < host) {
			host = h
		}
	}
	return host
}

func (all *known) madeHere(fingerprint string) bool {
	for _, m := range all.Made {
		if m.Fingerprint == fingerprint {
			return true
		}
	}
	return false
}

// bind takes a card out of those that wait for their host.
func (all *known) bind(host, fingerprint string) {
	if all.Hosts == nil {
		all.Hosts = map[string]string{}
	}
	all.Hosts[host] = fingerprint
	var rest []made
	for _, m := range all.Made {
		if m.Fingerprint != fingerprint {
			rest = append(rest, m)
		}
	}
	all.Made = rest
}

// change reads the file, changes what it says, and replaces it if that differs.
func (k *Known) change(edit func(*known)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	all, err := k.read()
	if err != nil {
		return err
	}
	before, _ := json.Marshal(all) // maps and strings: it cannot fail
	edit(&all)
	after, _ := json.MarshalIndent(all, "", " ")
	if compact, _ := json.Marshal(all); string(before) == string(compact) {
		return nil
	}
	if err := k.makeFolder(); err != nil {
		return fmt.Errorf("remember fingerprints: %w", err)
	}
	return atomicfile.ReplaceDurably(k.path, 0o600, func(f *os.File) error {
		if k.owner != nobody {
			if err := f.Chown(k.owner, -1); err != nil {
				return err
			}
		}
		_, err := f.Write(append(after, '\n'))
		return err
	})
}

// makeFolder makes the folder, and the one above it, for the file's owner.
func (k *Known) makeFolder() error {
	dir := filepath.Dir(k.path)
	for _, folder := range []string{filepath.Dir(dir), dir} {
		if _, err := os.Stat(folder); err == nil {
			continue
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		if k.owner == nobody {
			continue
		}
		if err := os.Lchown(folder, k.owner, -1); err != nil {
			return err
		}
	}
	return nil
}

func (k *Known) read() (known, error) {
	all := known{Format: knownFormat}
	b, err := openfile.Read(k.path, maxKnown)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, fmt.Errorf("remembered fingerprints: %w", err)
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return all, fmt.Errorf("remembered fingerprints: %s: %w", k.path, err)
	}
	if all.Format != knownFormat {
		return all, fmt.Errorf("remembered fingerprints: %s: format %d, this camctl knows %d", k.path, all.Format,
			knownFormat)
	}
	return all, nil
}

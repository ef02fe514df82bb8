// gokrazy's own update protocol, for an owner who builds roots with gokrazy's tools and says so with
// "update": {"gokrazy": true}. Roots that come this way are not signed.
//
// gokrazy's handlers would write both slots and the seed in place; these take the root into the spool
// and leave the rest to process 1, which gives it the running slot's kernel and boot files: the same
// slots, the same trial, the same health. gokrazy's "testboot" and "switch" are both a trial here.
//
// Source: github.com/gokrazy/gokrazy, update.go; github.com/gokrazy/updater is its client.

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/firmware/webui"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// gokrazyFeatures are what a client may use: it then names partitions by GUID, and compares hashes.
const gokrazyFeatures = "partuuid,updatehash,"

// squashfsMagic begins every root, little endian.
const squashfsMagic = "hsqs"

var errRoot = errors.New("not a root")

// A stagedRoot is between its upload and the restart.
type stagedRoot struct {
	mu      sync.Mutex
	applied bool // process 1 has it, and restarts by itself
}

func (s *service) gokrazyEndpoints() []webui.Endpoint {
	list := []webui.Endpoint{
		{Method: "GET", Path: "/update/features", Handle: answerFeatures},
		{Method: "PUT", Path: "/update/root", Handle: s.takeRoot},
		{Method: "POST", Path: "/update/switch", Handle: s.tryRoot},
		{Method: "POST", Path: "/update/testboot", Handle: s.tryRoot},
		{Method: "POST", Path: "/reboot", Handle: s.gokrazyReboot},
	}
	for _, name := range []string{"boot", "bootonly", "mbr"} {
		list = append(list, webui.Endpoint{Method: "PUT", Path: "/update/" + name, Handle: refuseBoot})
	}
	return list
}

func answerFeatures(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		webui.WriteJSON(w, http.StatusOK, map[string]any{"features": gokrazyFeatures, "EEPROM": nil})
		return
	}
	writeText(w, gokrazyFeatures)
}

// refuseBoot is about files outside of the slots, of which there is no second copy.
func refuseBoot(w http.ResponseWriter, _ *http.Request) {
	webui.WriteError(w, http.StatusNotImplemented,
		"a krazycam takes a root alone by this protocol, and tries it with the kernel that runs: "+
			"kernel and boot files come in a signed bundle (camctl update)")
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // who has gone needs no answer
}

// takeRoot answers with the hash of what came, as the client wants it: sha256 or crc32.
func (s *service) takeRoot(w http.ResponseWriter, r *http.Request) {
	var sum hash.Hash = sha256.New()
	if r.Header.Get("X-Gokrazy-Update-Hash") == "crc32" {
		sum = crc32.NewIEEE()
	}
	if err := s.spoolRoot(w, r, sum); err != nil {
		s.refuse(w, r, err)
		return
	}
	writeText(w, fmt.Sprintf("%x", sum.Sum(nil)))
}

func (s *service) spoolRoot(w http.ResponseWriter, r *http.Request, sum hash.Hash) error {
	release, ctx, err := s.intake.acquire(r.Context(), person)
	if err != nil {
		return err
	}
	defer release()
	if err := s.mayTake(); err != nil {
		return err
	}
	s.setApplied(false)
	if err := s.spool.Clear(); err != nil { // what was spooled would take the root's room
		return err
	}
	n, err := receiveRoot(s.at.root, io.TeeReader(s.body(ctx, w, r, update.MaxRoot), sum))
	if err != nil {
		return errors.Join(err, os.Remove(s.at.root))
	}
	s.log.Warn("web: an UNSIGNED root was taken", "by", r.RemoteAddr, "bytes", n)
	return nil
}

// receiveRoot writes what comes to a file, if it looks like a root.
func receiveRoot(path string, r io.Reader) (n int64, err error) {
	f, err := openfile.Create(path, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	magic := make([]byte, len(squashfsMagic))
	if n, err := io.ReadFull(r, magic); err != nil || string(magic) != squashfsMagic {
		return 0, errors.Join(notEnd(err),
			fmt.Errorf("%w: it begins with %q, a squashfs with %q", errRoot, magic[:n], squashfsMagic))
	}
	n, err = io.Copy(f, io.MultiReader(strings.NewReader(squashfsMagic), r))
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: %w", update.ErrNoSpace, err)
	}
	if err != nil {
		return n, err
	}
	return n, f.Sync()
}

// notEnd leaves out that the bytes ended, which is said already.
func notEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// tryRoot has process 1 write the root and restart into it for a trial.
func (s *service) tryRoot(w http.ResponseWriter, r *http.Request) {
	release, ctx, err := s.intake.acquire(r.Context(), person)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer release()
	noDeadline(w)
	if err := s.apply(ctx, control.AskApplyRoot); err != nil {
		s.refuse(w, r, err)
		return
	}
	s.setApplied(true)
	writeText(w, "")
}

// gokrazyReboot is what gokrazy's client asks for at the end. Process 1 restarts by itself once it has
// written a root.
func (s *service) gokrazyReboot(w http.ResponseWriter, r *http.Request) {
	if s.isApplied() {
		writeText(w, "Rebooting...\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), shortAsk)
	defer cancel()
	if err := s.at.ask(ctx, control.AskReboot); err != nil {
		s.refuse(w, r, err)
		return
	}
	writeText(w, "Rebooting...\n")
}

func (s *service) setApplied(yes bool) {
	s.staged.mu.Lock()
	defer s.staged.mu.Unlock()
	s.staged.applied = yes
}

func (s *service) isApplied() bool {
	s.staged.mu.Lock()
	defer s.staged.mu.Unlock()
	return s.staged.applied
}

package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/certificate"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// Whatever is posted, and whatever its header says is left out: nothing is handed to process 1 that its
// signer did not sign whole, and the board answers.
func FuzzTakeBundle(f *testing.F) {
	by := newSigner(f)
	v1, v2 := newBuild(f, by, 1), newBuild(f, by, 2)
	at := placesBelow(f.TempDir())
	for _, dir := range []string{at.ownFolder, at.spool, filepath.Dir(at.status)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			f.Fatal(err)
		}
	}
	status := control.Status{Version: "v1", Index: v1.manifest.Index, Board: "rpi", Slot: "a", Promoted: "a"}
	if err := control.WriteStatus(at.status, status); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(at.promoted, v1.raw, 0o600); err != nil {
		f.Fatal(err)
	}
	pair, err := certificate.Make()
	if err != nil {
		f.Fatal(err)
	}
	s, err := newService(at, config.Default(), pair, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	head := v2.bundle(f, v2.manifest.Parts[1])
	f.Add([]byte(nil), "")
	f.Add(head, "")
	f.Add(head, "5")
	f.Add(head[:3000], "99999999999999999999")
	f.Add(head[:len(head)-100], "-1")
	f.Fuzz(func(t *testing.T, bundle []byte, skip string) {
		r := httptest.NewRequest(http.MethodPost, api.UpdatePath, bytes.NewReader(bundle))
		r.Header.Set(api.SkipHeader, skip)
		w := httptest.NewRecorder()
		s.takeBundle(w, r)
		// Nobody plays process 1: a bundle that is taken whole is answered with 500.
		if w.Code == http.StatusOK || w.Code == http.StatusInternalServerError && !s.hasAll(v2) {
			t.Errorf("answer %d %s", w.Code, w.Body)
		}
	})
}

// hasAll says whether all of a build is in the spool or on the board.
func (s *service) hasAll(v build) bool {
	slots, err := s.at.readSlots()
	return err == nil && len(s.missing(v.manifest, update.HashesOf(slots.promoted))) == 0
}

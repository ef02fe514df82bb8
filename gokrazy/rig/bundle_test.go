package rig

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/inspect"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// The whole way of an update but the board: camctl makes a bundle of the image, a spool takes it,
// slotwriter writes it into a card, camctl looks at that. No program is told of the other's files
// but by the bundle.
func TestBundleOfAnImageFillsTheOtherSlotOfItsCard(t *testing.T) {
	need.Root(t, "for slotwriter")
	dir := t.TempDir()
	build := []string{"CGO_ENABLED=0"}
	run(t, build, "go", "build", "-o", dir, "../cmd/camctl", "../cmd/slotwriter")
	camctl, slotwriter := filepath.Join(dir, "camctl"), filepath.Join(dir, "slotwriter")
	key := filepath.Join(dir, "update.key")
	run(t, nil, camctl, "keys", "new", "-o", key)
	public := run(t, nil, camctl, "keys", "show", key)
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte(public), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		board string
		have  bool // the parts that the running slot has are left out: here all of them
	}{{"rpi", false}, {"bbb", true}} {
		image := "../../out/" + c.board + ".img"
		need.File(t, image, "build it with scripts/image "+c.board)
		if slots := slotsOf(t, image); len(slots[0].Keys) > 0 {
			need.Missing(t, image+" without an update key: build it with scripts/image "+c.board)
		}
		bundle, card := filepath.Join(dir, c.board+".update"), filepath.Join(dir, c.board+".img")
		run(t, nil, camctl, "bundle", "--board", c.board, "--key", key, "--image", image, "-o", bundle,
			"--version", "v2", "--index", "4000000000", "--trial-s", "5", "--since", image)
		copyImage(t, card, image)
		spool := filepath.Join(t.TempDir(), "spool")
		brought := fillSpool(t, spool, bundle, c.have)
		said := run(t, nil, slotwriter, "--spool", spool, "--disk", card, "--running", "a", "--board", c.board,
			"--keys", keys, "--json")
		var wrote struct {
			Version string  `json:"version"`
			Seconds float64 `json:"seconds"`
		}
		err := json.Unmarshal([]byte(said[strings.LastIndex(said, "{"):]), &wrote)
		if err != nil || wrote.Version != "v2" {
			t.Fatalf("%q: %v", said, err)
		}
		slots := slotsOf(t, card)
		a, b := slots[0], slots[1]
		if len(b.Faults) > 0 || b.Version != "v2" || !b.Signed || b.Board != c.board || b.Promoted ||
			strings.Replace(a.Cmdline, "PARTNROFF=1", "PARTNROFF=2", 1) != b.Cmdline {
			t.Errorf("slot b is %+v", b)
		}
		if len(a.Faults) > 0 || a.Version == "v2" || !a.Promoted {
			t.Errorf("slot a is now %+v", a)
		}
		t.Logf("FIGURE update: %s: %d bytes came into the spool, slot written in %.1f s",
			c.board, brought, wrote.Seconds)
	}
}

// slotsOf inspects an image.
func slotsOf(t *testing.T, image string) []inspect.Slot {
	t.Helper()
	f, size := openFile(t, image, os.O_RDONLY)
	r, err := inspect.Image(t.Context(), f, size)
	if err != nil || len(r.Slots) != 2 || len(r.Problems) > 0 {
		t.Fatalf("%s: %v, %v, %d slots", image, err, r.Problems, len(r.Slots))
	}
	return r.Slots
}

// fillSpool takes a bundle into a new spool, and gives the bytes that it brought.
func fillSpool(t *testing.T, dir, bundle string, have bool) (brought int64) {
	t.Helper()
	s, err := update.MakeSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, length := openFile(t, bundle, os.O_RDONLY)
	b, err := update.OpenBundle(f, length)
	if err != nil {
		t.Fatal(err)
	}
	var has map[string]bool
	if have {
		has = update.HashesOf(b.Manifest)
	}
	parts := s.Missing(b.Manifest, has)
	_, size := update.Offsets(parts, len(b.Raw), len(b.Signature))
	r, w := io.Pipe()
	go func() { w.CloseWithError(update.WriteBundle(w, b.Raw, b.Signature, parts, b.Open)) }()
	_, err = s.Take(r, has, 0, func(raw, sig []byte) (update.Manifest, error) {
		if err := update.Verify(raw, sig, b.Manifest.Keys); err != nil {
			return update.Manifest{}, err
		}
		return update.ParseManifest(raw)
	})
	if left := s.Missing(b.Manifest, has); err != nil || len(left) > 0 {
		t.Fatalf("%d parts are missing, %v", len(left), err)
	}
	return size
}

// Power cuts: the writes of a whole update, as QEMU recorded them, cut off at many moments. After each
// the card is looked at as a board would: what its boot firmware and its U-Boot start must be the old
// version or the new one, whole to the last byte.

package rig

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/vm/pifirmware"
	"github.com/krazycam/krazycam/gokrazy/vm/writelog"
)

// A recording is one update of a card.
type recording struct {
	before string   // file of the card
	log    string   // file of its writes
	kept   []string // versions that may start for good: each of them has to, after some cut
	tried  []string // others that U-Boot may hold a trial of

	disk   *os.File // before
	size   int64
	writes *writelog.Log
	places []int64 // sectors that say which slot starts
}

// A powerCut is a moment in a recording.
type powerCut struct {
	after int // entries
	seed  uint64
}

// open reads the recording.
func (r *recording) open(t *testing.T) {
	t.Helper()
	r.disk, r.size = openFile(t, r.before, os.O_RDONLY)
	file, length := openFile(t, r.log, os.O_RDONLY)
	var err error
	if r.writes, err = writelog.Read(file, length); err != nil {
		t.Fatal(err)
	}
	r.places = r.switches(t)
}

// writeTo makes a copy of the card as a cut left it.
func (r *recording) writeTo(t *testing.T, file string, c powerCut) {
	t.Helper()
	copyImage(t, file, r.before)
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := writelog.NewReplay(r.writes, r.disk).Cut(c.after, c.seed)
	if err := errors.Join(d.WriteChanges(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("cut after write %d with seed %d: behind the last flush %d kept, %d lost, the last one of %d bytes",
		c.after, c.seed, d.Kept, d.Lost, d.Torn)
}

// checkCuts plays n cuts, half of them about the moments when a switch is written, and gives them in
// the order of the log.
func (r *recording) checkCuts(t *testing.T, n int) (all []powerCut) {
	t.Helper()
	replay := writelog.NewReplay(r.writes, r.disk)
	starts := map[string]int{}
	for i, after := range r.moments(n) {
		c := powerCut{after, uint64(i)}
		version, err := r.check(replay.Cut(after, c.seed))
		if err != nil {
			t.Fatalf("cut after write %d with seed %d: %v", c.after, c.seed, err)
		}
		starts[version]++
		all = append(all, c)
	}
	t.Logf("FIGURE rpi: %d power cuts in %d writes and %d flushes of an update: %v start, each whole",
		len(all), len(r.writes.Entries), r.writes.Flushes(), starts)
	if len(starts) != len(r.kept) {
		t.Errorf("versions that start after a cut: %v, want some of each of %q", starts, r.kept)
	}
	return all
}

// switches are the sectors of config.txt and tryboot.txt, and U-Boot's.
func (r *recording) switches(t *testing.T) []int64 {
	t.Helper()
	places := []int64{card.StateSector}
	boot, start, err := card.OpenBoot(r.disk, r.size)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{card.ConfigName, card.TrybootName} {
		at, _, err := boot.Extent(name)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, (start+at)/disk.SectorSize)
	}
	return places
}

// moments are numbers of entries, in order: half anywhere, half near a switch.
func (r *recording) moments(n int) (all []int) {
	var near []int
	for i, e := range r.writes.Entries {
		if slices.Contains(r.places, e.At/disk.SectorSize) && e.Size == disk.SectorSize {
			near = append(near, i, i+1, i+2)
		}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		if i%2 == 0 && len(near) > 0 {
			all = append(all, near[random.IntN(len(near))])
		} else {
			all = append(all, random.IntN(len(r.writes.Entries)+1))
		}
	}
	slices.Sort(all)
	return all
}

// check gives the version that a Pi 4 starts from a disk. Everything that any model would start has
// to be whole, a trial that U-Boot still holds included.
func (r *recording) check(d io.ReaderAt) (version string, err error) {
	if _, err := disk.ReadTable(d, r.size); err != nil {
		return "", err
	}
	boot, err := pifirmware.OpenBoot(d, r.size)
	if err != nil {
		return "", err
	}
	selected, err := pifirmware.Select(boot, pifirmware.Pi4B(), false)
	if err != nil {
		return "", err
	}
	sector := make([]byte, disk.SectorSize)
	if _, err := d.ReadAt(sector, card.StateSector*disk.SectorSize); err != nil {
		return "", err
	}
	state, err := slot.ParseState(sector)
	if err != nil {
		return "", err
	}
	if version, err = r.wholeSlot(d, boot, slot.Name(selected.Prefix[:1])); err != nil {
		return "", fmt.Errorf("config.txt names slot %s: %w", selected.Prefix, err)
	}
	if !slices.Contains(r.kept, version) {
		return "", fmt.Errorf("config.txt names slot %s with %s, want one of %q", selected.Prefix, version, r.kept)
	}
	for _, n := range []slot.Name{state.Slot, state.Try} {
		if n == "" || n.Folder() == selected.Prefix[:1] {
			continue
		}
		other, err := r.wholeSlot(d, boot, n)
		if err != nil {
			return "", fmt.Errorf("U-Boot starts slot %s: %w", n, err)
		}
		if !slices.Contains(r.kept, other) && (n == state.Slot || !slices.Contains(r.tried, other)) {
			return "", fmt.Errorf("U-Boot starts slot %s with %s", n, other)
		}
	}
	return version, nil
}

// wholeSlot compares every part of a slot with its manifest.
func (r *recording) wholeSlot(d io.ReaderAt, boot fs.FS, n slot.Name) (version string, err error) {
	raw, err := fs.ReadFile(boot, n.Folder()+"/"+card.ManifestName)
	if err != nil {
		return "", err
	}
	m, err := update.ParseManifest(raw)
	if err != nil {
		return "", err
	}
	table, err := disk.ReadTable(d, r.size)
	if err != nil {
		return "", err
	}
	for _, p := range m.Parts {
		h := sha256.New()
		if p.Name == update.RootName {
			at := table.Partitions[n.RootPartition()-1].Start
			_, err = io.Copy(h, io.NewSectionReader(d, at, p.Size))
		} else {
			var b []byte
			if b, err = fs.ReadFile(boot, n.Folder()+"/"+p.Path()); err == nil && p.Path() == card.CmdlineName {
				b, err = ownCmdline(b, n)
			}
			h.Write(b)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.Name, err)
		}
		if sum := fmt.Sprintf("%x", h.Sum(nil)); sum != p.SHA256 {
			return "", fmt.Errorf("%s of version %s: sha256 %s, want %s", p.Name, m.Version, sum, p.SHA256)
		}
	}
	return m.Version, nil
}

// ownCmdline gives the form that a manifest speaks of, and an error if the line names the other root.
func ownCmdline(line []byte, n slot.Name) ([]byte, error) {
	if named, err := slot.CmdlineSlot(line); err != nil || named != n {
		return nil, fmt.Errorf("names the root of slot %s: %w", named, err)
	}
	return slot.CanonicalCmdline(line)
}

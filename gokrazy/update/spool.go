// The spool: what has come of an update so far, on a disk that may lose power at any time.

package update

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

const (
	partsFolder   = "parts"
	partialSuffix = ".partial"
	// spoolReserve stays free on the spool's file system: for settings, events and the clock.
	spoolReserve = 8 << 20
)

// A Spool is a folder with one manifest, its signature and the parts that came:
//
//	manifest.json manifest.json.minisig parts/SHA256 parts/SHA256.partial
//
// A part has its final name only when it is whole, right and on the disk. The folder belongs to
// whoever receives; who reads it with more rights believes nothing in it: no link is followed, only
// plain files are opened, and the reader checks signature and hashes again. One process writes to
// it, one goroutine at a time.
type Spool struct{ root *os.Root }

// MakeSpool opens the spool in a folder, which it makes if it is not there. Close it after use.
func MakeSpool(dir string) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s, err := OpenSpool(dir)
	if err != nil {
		return nil, err
	}
	if err := s.root.Mkdir(partsFolder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("spool: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

// OpenSpool opens a spool to read it.
func OpenSpool(dir string) (*Spool, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	return &Spool{root}, nil
}

// Close gives back the folder; what is in it stays.
func (s *Spool) Close() error { return s.root.Close() }

// Manifest reads manifest and signature as Begin wrote them. fs.ErrNotExist: none has begun.
func (s *Spool) Manifest() (raw, sig []byte, err error) {
	if raw, err = s.read(ManifestName, MaxManifest); err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	if sig, err = s.read(SignatureName, MaxSignature); err != nil {
		return nil, nil, fmt.Errorf("spool: %w", err)
	}
	return raw, sig, nil
}

// Begin makes this the spool of m, whose file and signature are raw and sig. have are the hashes of
// what the board has and nobody sends. What is here already of m's parts stays, whole or not; all
// else goes. It says ErrNoSpace before anything is sent that would not fit.
func (s *Spool) Begin(raw, sig []byte, m Manifest, have map[string]bool) error {
	err := s.begin(raw, sig, m, have)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

func (s *Spool) begin(raw, sig []byte, m Manifest, have map[string]bool) error {
	was, wasSig, err := s.Manifest()
	same := err == nil && string(was) == string(raw) && string(wasSig) == string(sig)
	if !same { // first the manifest: without it nothing here counts
		if err := s.remove(ManifestName); err != nil {
			return err
		}
	}
	if err := s.keepOnly(m); err != nil {
		return err
	}
	if err := s.checkSpace(m, have); err != nil {
		return err
	}
	if same {
		return nil
	}
	if err := s.write(SignatureName, sig); err != nil {
		return err
	}
	return s.write(ManifestName, raw)
}

// keepOnly removes what is not of m.
func (s *Spool) keepOnly(m Manifest) error {
	wanted := map[string]bool{ManifestName: true, SignatureName: true, partsFolder: true}
	for _, p := range m.Parts {
		wanted[p.file()], wanted[p.file()+partialSuffix] = true, true
	}
	for _, folder := range []string{".", partsFolder} {
		names, err := s.list(folder)
		if err != nil {
			return err
		}
		for _, name := range names {
			if name = path.Join(folder, name); wanted[name] {
				continue
			}
			if err := s.root.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSpace counts what is still to come.
func (s *Spool) checkSpace(m Manifest, have map[string]bool) error {
	need := int64(spoolReserve)
	for _, p := range s.Missing(m, have) {
		need += (p.Size+cluster-1)/cluster*cluster - s.Partial(p)
	}
	free, err := freeBytes(s.root.Name())
	if err != nil {
		return err
	}
	if need > free {
		return fmt.Errorf("%w: %d MiB, free are %d MiB", ErrNoSpace, need>>20+1, free>>20)
	}
	return nil
}

// Missing lists the parts of m that are neither here nor in have, each content once, in the
// manifest's order.
func (s *Spool) Missing(m Manifest, have map[string]bool) (missing []Part) {
	listed := map[string]bool{}
	for _, p := range m.Parts {
		if have[p.SHA256] || listed[p.SHA256] || s.Has(p) {
			continue
		}
		listed[p.SHA256] = true
		missing = append(missing, p)
	}
	return missing
}

// Has says whether the part is here. It was whole and right when it was written.
func (s *Spool) Has(p Part) bool {
	info, err := s.root.Lstat(p.file())
	return err == nil && info.Mode().IsRegular() && info.Size() == p.Size
}

// Partial is how many bytes of a part are here, if it is not whole.
func (s *Spool) Partial(p Part) int64 {
	info, err := s.root.Lstat(p.file() + partialSuffix)
	if err != nil || !info.Mode().IsRegular() || info.Size() > p.Size {
		return 0
	}
	return info.Size()
}

// Put takes a part of the manifest, from byte from on: 0, or at most Partial. If r fails, what came
// stays for the next Put. A whole part that is wrong is ErrPart, and is forgotten: what came first may
// have been damaged on the disk. A full disk is ErrNoSpace, and forgets the part, too.
func (s *Spool) Put(p Part, from int64, r io.Reader) error {
	partial := p.file() + partialSuffix
	err := s.fill(partial, p, from, r)
	switch {
	case err == nil:
		err = s.finish(partial, p)
	case errors.Is(err, syscall.ENOSPC):
		err = fmt.Errorf("%w: %w", ErrNoSpace, errors.Join(err, s.remove(partial)))
	case errors.Is(err, ErrPart):
		err = errors.Join(err, s.remove(partial))
	}
	if err != nil {
		return fmt.Errorf("part %s: %w", p.Name, err)
	}
	return nil
}

// fill appends r to the partial file, and checks the whole.
func (s *Spool) fill(name string, p Part, from int64, r io.Reader) (err error) {
	f, err := s.openPlain(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	if err := hashBeginning(sum, f, from); err != nil {
		return err
	}
	if err := f.Truncate(from); err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(r, p.Size-from))
	if err != nil {
		return errors.Join(err, f.Sync()) // what came shall last
	}
	switch got := hex.EncodeToString(sum.Sum(nil)); {
	case from+n != p.Size:
		return errors.Join(fmt.Errorf("%d bytes of %d: %w", from+n, p.Size, io.ErrUnexpectedEOF), f.Sync())
	case got != p.SHA256:
		return fmt.Errorf("%w: sha256 is %s, the manifest says %s", ErrPart, got, p.SHA256)
	}
	return f.Sync()
}

// hashBeginning hashes what came before. What the disk does not give back is ErrPart: kept, it would be in the
// way of the part for ever.
func hashBeginning(sum io.Writer, partial io.Reader, from int64) error {
	switch n, err := io.CopyN(sum, partial, from); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("from byte %d: %d are here", from, n)
	case err != nil:
		return fmt.Errorf("%w: what came before: %w", ErrPart, err)
	}
	return nil
}

// finish gives a whole part its name.
func (s *Spool) finish(partial string, p Part) error {
	if err := s.root.Rename(partial, p.file()); err != nil {
		return err
	}
	return s.syncFolder(partsFolder)
}

// Recheck reads the parts of m that are here, and forgets those that the disk has damaged since they came:
// Has looks at the size alone, and nobody would send them again.
func (s *Spool) Recheck(m Manifest) (forgotten []Part, err error) {
	for _, p := range m.Parts {
		if !s.Has(p) || s.isRight(p) {
			continue
		}
		if err := s.remove(p.file()); err != nil {
			return forgotten, fmt.Errorf("spool: %w", err)
		}
		forgotten = append(forgotten, p)
	}
	return forgotten, nil
}

// isRight says whether a part that is here can be read and has its hash. One that cannot be opened for
// another reason than the disk is taken for right.
func (s *Spool) isRight(p Part) bool {
	f, err := s.Open(p)
	if err != nil {
		return !errors.Is(err, syscall.EIO)
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return err == nil && hex.EncodeToString(sum.Sum(nil)) == p.SHA256
}

// Open opens a part that is here, for reading. The reader checks its hash.
func (s *Spool) Open(p Part) (*os.File, error) { return s.openPlain(p.file(), os.O_RDONLY) }

// Clear removes everything.
func (s *Spool) Clear() error {
	if err := s.remove(ManifestName); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := s.keepOnly(Manifest{}); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := s.remove(SignatureName); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// file is where a part lies. A hash that is none, in a manifest that nobody parsed, leads nowhere.
func (p Part) file() string { return path.Join(partsFolder, strings.ReplaceAll(p.SHA256, "/", "_")) }

// HashesOf are the hashes of all parts of some manifests: what a board has whose slots hold them.
func HashesOf(all ...Manifest) map[string]bool {
	have := map[string]bool{}
	for _, m := range all {
		for _, p := range m.Parts {
			have[p.SHA256] = true
		}
	}
	return have
}

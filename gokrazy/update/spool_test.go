package update

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// newSpool is one in a folder of the test.
func newSpool(t testing.TB) (*Spool, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "update", "spool")
	s, err := MakeSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

// check does what a board does with what comes first.
func check(promoted Manifest, other *Manifest, keys ...string) func(raw, sig []byte) (Manifest, error) {
	return func(raw, sig []byte) (Manifest, error) {
		if err := Verify(raw, sig, keys); err != nil {
			return Manifest{}, err
		}
		m, err := ParseManifest(raw)
		if err != nil {
			return Manifest{}, err
		}
		return m, m.Permits(promoted, "rpi", 1, other)
	}
}

func TestSpoolTakesAWholeBundleAndOneWithoutWhatTheBoardHas(t *testing.T) {
	by := newSigner(t)
	old, v := newVersion(t, by, testIndex, by.public), newVersion(t, by, testIndex+1, by.public)
	for name, have := range map[string]map[string]bool{"nothing": nil, "the old version": HashesOf(old.manifest)} {
		s, _ := newSpool(t)
		lacks := s.Missing(v.manifest, have)
		_, err := s.Take(bytes.NewReader(v.bundle(t, lacks...)), have, 0, check(old.manifest, nil, by.public))
		if err != nil {
			t.Fatalf("board has %s: %v", name, err)
		}
		if left := s.Missing(v.manifest, have); len(left) != 0 {
			t.Errorf("board has %s: still missing %v", name, left)
		}
		raw, sig, err := s.Manifest()
		if err != nil || !bytes.Equal(raw, v.raw) || !bytes.Equal(sig, v.sig) {
			t.Errorf("board has %s: manifest and signature are not those of the bundle: %v", name, err)
		}
		for _, p := range lacks {
			f, err := s.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err := errors.Join(err, f.Close()); err != nil || !bytes.Equal(got, v.content[p.SHA256]) {
				t.Errorf("board has %s: %s has %d bytes, %v", name, p.Name, len(got), err)
			}
		}
	}
}

func TestSpoolGoesOnAfterAnInterruption(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex+1)
	root := v.manifest.Root()
	s, dir := newSpool(t)
	if err := s.Begin(v.raw, v.sig, v.manifest, nil); err != nil {
		t.Fatal(err)
	}
	content := v.content[root.SHA256]
	broken := errors.New("the line broke")
	r := io.MultiReader(bytes.NewReader(content[:1000]), errReader{broken})
	if err := s.Put(root, 0, r); !errors.Is(err, broken) {
		t.Fatalf("Put = %v, want %v", err, broken)
	}
	if got := s.Partial(root); got != 1000 {
		t.Fatalf("%d bytes are here, want 1000", got)
	}
	// The same manifest comes again: what is here stays.
	if err := s.Begin(v.raw, v.sig, v.manifest, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(root, 1001, bytes.NewReader(content[1001:])); err == nil {
		t.Error("Put took a part with a hole")
	}
	if err := s.Put(root, 1000, bytes.NewReader(content[1000:])); err != nil || !s.Has(root) || s.Partial(root) != 0 {
		t.Errorf("Put = %v, whole %t, %d bytes of a part", err, s.Has(root), s.Partial(root))
	}
	names := spoolNames(t, dir)
	want := []string{"manifest.json", "manifest.json.minisig", "parts", "parts/" + root.SHA256}
	if !slices.Equal(names, want) {
		t.Errorf("the spool holds %q, want %q", names, want)
	}
}

func TestTakeGoesOnWithinTheFirstPart(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex+1)
	root := v.manifest.Root()
	whole := v.bundle(t, root)
	at, _ := Offsets([]Part{root}, len(v.raw), len(v.sig))
	without := func(n int64) io.Reader {
		return io.MultiReader(bytes.NewReader(whole[:at[0]]), bytes.NewReader(whole[at[0]+n:]))
	}
	s, _ := newSpool(t)
	ok := check(Manifest{}, nil, by.public)
	if n, err := s.Take(bytes.NewReader(whole[:at[0]+1000]), nil, 0, ok); !errors.Is(err, ErrBundle) || n != 1000 {
		t.Fatalf("Take of the beginning = %d, %v", n, err)
	}
	for _, skip := range []int64{1001, root.Size + 1, MaxRoot} {
		if n, err := s.Take(without(min(skip, root.Size)), nil, skip, ok); !errors.Is(err, ErrSkip) || n != 0 {
			t.Errorf("%d bytes left out: %d, %v, want %v", skip, n, err, ErrSkip)
		}
	}
	n, err := s.Take(without(600), nil, 600, ok) // fewer than are here
	if err != nil || n != root.Size-600 || !s.Has(root) {
		t.Errorf("Take of the rest = %d, %v, whole %t", n, err, s.Has(root))
	}
	if n, err := s.Take(without(600), nil, 600, ok); err != nil || n != 0 { // all is here
		t.Errorf("Take once more = %d, %v", n, err)
	}
}

func TestSpoolForgetsWhatIsNotOfTheNextManifest(t *testing.T) {
	by := newSigner(t)
	a, b := newVersion(t, by, testIndex+1), newVersion(t, by, testIndex+2)
	s, dir := newSpool(t)
	for _, v := range []version{a, b} {
		if _, err := s.Take(bytes.NewReader(v.bundle(t)), nil, 0, check(Manifest{}, nil, by.public)); err != nil {
			t.Fatal(err)
		}
		names := spoolNames(t, dir)
		if len(names) != 3+4 || !slices.Contains(names, "parts/"+v.manifest.Root().SHA256) {
			t.Errorf("after %s the spool holds %q", v.manifest.Version, names)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "parts", "stray"), nil, 0o600),
		os.MkdirAll(filepath.Join(dir, "strays", "deep"), 0o700), s.Clear()); err != nil {
		t.Fatal(err)
	}
	if names := spoolNames(t, dir); !slices.Equal(names, []string{"parts"}) {
		t.Errorf("Clear left %q", names)
	}
	if _, _, err := s.Manifest(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Manifest of an empty spool = %v, want %v", err, os.ErrNotExist)
	}
}

func TestSpoolForgetsAPartThatIsWrong(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex+1)
	root := v.manifest.Root()
	s, dir := newSpool(t)
	wrong := bytes.Clone(v.content[root.SHA256])
	wrong[17]++
	if err := s.Begin(v.raw, v.sig, v.manifest, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(root, 0, bytes.NewReader(wrong)); !errors.Is(err, ErrPart) || s.Has(root) || s.Partial(root) != 0 {
		t.Errorf("Put = %v, whole %t, %d bytes left, want %v and nothing", err, s.Has(root), s.Partial(root), ErrPart)
	}
	// A power cut kept the length and lost the bytes.
	if err := os.WriteFile(filepath.Join(dir, root.file()+partialSuffix), make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	rest := bytes.NewReader(v.content[root.SHA256][512:])
	if err := s.Put(root, 512, rest); !errors.Is(err, ErrPart) || s.Partial(root) != 0 {
		t.Errorf("Put = %v, %d bytes left, want %v and nothing", err, s.Partial(root), ErrPart)
	}
	// More bytes than the part has are not read.
	long := bytes.NewReader(append(bytes.Clone(v.content[root.SHA256]), "and more"...))
	if err := s.Put(root, 0, long); err != nil || long.Len() != len("and more") {
		t.Errorf("Put = %v, %d bytes left to read", err, long.Len())
	}
}

// What cannot be read back is forgotten like what is wrong; what is missing is the caller's mistake.
func TestBeginningThatTheDiskDoesNotGiveBackIsADamagedPart(t *testing.T) {
	bad := io.MultiReader(strings.NewReader("some"), errReader{syscall.EIO})
	if err := hashBeginning(io.Discard, bad, 10); !errors.Is(err, ErrPart) || !errors.Is(err, syscall.EIO) {
		t.Errorf("a bad sector: %v, want %v", err, ErrPart)
	}
	if err := hashBeginning(io.Discard, strings.NewReader("some"), 10); err == nil || errors.Is(err, ErrPart) {
		t.Errorf("too few bytes: %v, want another error", err)
	}
}

// A card loses bytes of a part that was right when it came.
func TestRecheckForgetsWhatTheDiskHasDamaged(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex+1)
	root := v.manifest.Root()
	s, dir := newSpool(t)
	if _, err := s.Take(bytes.NewReader(v.bundle(t)), nil, 0, check(Manifest{}, nil, by.public)); err != nil {
		t.Fatal(err)
	}
	if forgotten, err := s.Recheck(v.manifest); err != nil || len(forgotten) != 0 {
		t.Errorf("Recheck of what is right = %v, %v", forgotten, err)
	}
	writeFile(t, make([]byte, root.Size), dir, root.file())
	forgotten, err := s.Recheck(v.manifest)
	if err != nil || !slices.Equal(forgotten, []Part{root}) {
		t.Errorf("Recheck = %v, %v, want the root", forgotten, err)
	}
	if missing := s.Missing(v.manifest, nil); !slices.Equal(missing, []Part{root}) {
		t.Errorf("missing now: %v, want the root", missing)
	}
}

// Who reads a spool may have more rights than who wrote it.
func TestSpoolFollowsNoLink(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex+1)
	root := v.manifest.Root()
	s, dir := newSpool(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, v.content[root.SHA256], 0o600); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, root.file())
	for name, make := range map[string]func() error{
		"a link outside": func() error { return os.Symlink(secret, at) },
		"a link inside":  func() error { return os.Symlink("../manifest.json", at) },
		"a folder":       func() error { return os.Mkdir(at, 0o700) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if f, err := s.Open(root); !errors.Is(err, openfile.ErrKind) || f != nil {
			t.Errorf("%s: Open = %v, want %v", name, err, openfile.ErrKind)
		}
		if s.Has(root) {
			t.Errorf("%s: counts as the part", name)
		}
		if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(secret, filepath.Join(dir, ManifestName)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Manifest(); !errors.Is(err, openfile.ErrKind) {
		t.Errorf("Manifest behind a link = %v, want %v", err, openfile.ErrKind)
	}
	if err := s.Begin(v.raw, v.sig, v.manifest, nil); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(secret); err != nil || !bytes.Equal(b, v.content[root.SHA256]) {
		t.Errorf("what a link led to was changed: %v", err)
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// spoolNames lists what a spool's folder holds.
func spoolNames(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if name := strings.TrimPrefix(path, dir); name != "" {
			names = append(names, filepath.ToSlash(name[1:]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

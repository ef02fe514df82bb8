package update

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// readAll reads a bundle as a board does that has nothing.
func readAll(t testing.TB, b []byte, by signer) (map[string][]byte, error) {
	t.Helper()
	parts := map[string][]byte{}
	err := ReadBundle(bytes.NewReader(b), check(Manifest{}, nil, by.public), func(p Part, r io.Reader) (err error) {
		parts[p.Name], err = io.ReadAll(r)
		return err
	})
	return parts, err
}

func gnuTar(t *testing.T, dir string, args ...string) string {
	t.Helper()
	need.Tools(t, "tar")
	cmd := exec.Command("tar", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("tar %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestBundleIsWhatGNUTarMakesOfTheSameFiles(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	b := v.bundle(t)
	dir := t.TempDir()
	writeFile(t, b, dir, "x.update")
	names := []string{ManifestName, SignatureName}
	for _, p := range v.manifest.Parts {
		names = append(names, p.Name)
	}
	if got := strings.Fields(gnuTar(t, dir, "-tf", "x.update")); !slices.Equal(got, names) {
		t.Errorf("tar -t lists %q, want %q", got, names)
	}
	if out := gnuTar(t, dir, "-xf", "x.update"); out != "" {
		t.Errorf("tar -x says %q", out)
	}
	for _, p := range v.manifest.Parts {
		if got := readFile(t, dir, filepath.FromSlash(p.Name)); !bytes.Equal(got, v.content[p.SHA256]) {
			t.Errorf("%s: tar extracted %d other bytes", p.Name, len(got))
		}
	}
	gnuTar(t, dir, append([]string{"-cf", "y.update", "--format=ustar", "--blocking-factor=1", "--mode=0444",
		"--owner=0", "--group=0", "--numeric-owner", "--mtime=@" + strconv.Itoa(tarTime)}, names...)...)
	if got := readFile(t, dir, "y.update"); !bytes.Equal(got, b) {
		at := 0
		for at < min(len(got), len(b)) && got[at] == b[at] {
			at++
		}
		t.Errorf("GNU tar makes %d bytes of it, ours has %d; they differ at %d", len(got), len(b), at)
	}
}

func TestOffsetsAreThoseOfTheBundle(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	for name, parts := range map[string][]Part{
		"all": v.manifest.Parts, "some": {v.manifest.Parts[1], v.manifest.Root()}, "none": {},
	} {
		var out bytes.Buffer
		if err := WriteBundle(&out, v.raw, v.sig, parts, v.open); err != nil {
			t.Fatal(err)
		}
		at, size := Offsets(parts, len(v.raw), len(v.sig))
		if size != int64(out.Len()) {
			t.Errorf("%s: size %d, want %d", name, size, out.Len())
		}
		for i, p := range parts {
			if got := out.Bytes()[at[i]:][:p.Size]; !bytes.Equal(got, v.content[p.SHA256]) {
				t.Errorf("%s: %s is not at %d", name, p.Name, at[i])
			}
		}
	}
	m := Manifest{Parts: []Part{{Name: RootName, Size: MaxRoot}}}
	for i := range MaxParts - 1 {
		m.Parts = append(m.Parts, Part{Name: BootPrefix + strconv.Itoa(i), Size: MaxBoot / MaxParts})
	}
	if _, size := Offsets(m.Parts, MaxManifest, MaxSignature); size > MaxBundle {
		t.Errorf("the largest bundle has %d bytes, MaxBundle says %d", size, int64(MaxBundle))
	}
}

func TestOpenBundle(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	whole := v.bundle(t)
	b, err := OpenBundle(bytes.NewReader(whole), int64(len(whole)))
	if err != nil || !b.Manifest.Equal(v.manifest) || !bytes.Equal(b.Raw, v.raw) || !bytes.Equal(b.Signature, v.sig) {
		t.Fatalf("OpenBundle = %+v, %v", b, err)
	}
	var again bytes.Buffer
	if err := WriteBundle(&again, b.Raw, b.Signature, b.Manifest.Parts, b.Open); err != nil ||
		!bytes.Equal(again.Bytes(), whole) {
		t.Errorf("written again: %v, %d bytes, want the same %d", err, again.Len(), len(whole))
	}
	for name, size := range map[string]int{"cut": len(whole) - 1, "within the manifest": 600, "empty": 0} {
		if _, err := OpenBundle(bytes.NewReader(whole), int64(size)); !errors.Is(err, ErrBundle) {
			t.Errorf("%s: OpenBundle = %v, want %v", name, err, ErrBundle)
		}
	}
	whole[len(whole)-3*tarBlock]++ // in the root
	b, err = OpenBundle(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteBundle(io.Discard, b.Raw, b.Signature, b.Manifest.Parts, b.Open); !errors.Is(err, ErrPart) {
		t.Errorf("a changed root is written: %v, want %v", err, ErrPart)
	}
}

// Wherever a stream ends, it is no bundle, and its parts up to there were right.
func TestTruncatedBundleIsRefused(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	whole := v.bundle(t)
	for n := 0; n < len(whole); n += 1 + len(whole)/2000 {
		if _, err := readAll(t, whole[:n], by); !errors.Is(err, ErrBundle) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d of %d bytes: %v, want %v", n, len(whole), err, ErrBundle)
		}
	}
}

// member is one of a hand-made bundle.
func member(h tarHeader, content []byte) []byte {
	return slices.Concat(h[:], content, padding(int64(len(content))))
}

func TestHostileBundleIsRefused(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	head := slices.Concat(member(newTarHeader(ManifestName, int64(len(v.raw))), v.raw),
		member(newTarHeader(SignatureName, int64(len(v.sig))), v.sig))
	parts := v.manifest.Parts
	part := func(i int) []byte {
		return member(newTarHeader(parts[i].Name, parts[i].Size), v.content[parts[i].SHA256])
	}
	end := make([]byte, 2*tarBlock)
	whole := v.bundle(t)
	if want := slices.Concat(head, part(0), part(1), part(2), part(3), end); !bytes.Equal(whole, want) {
		t.Fatal("the test's own bundle is none")
	}
	// changed is part 0 with another header, whose checksum is right.
	changed := func(change func(*tarHeader)) []byte {
		h := newTarHeader(parts[0].Name, parts[0].Size)
		change(&h)
		copy(h[148:], "        ")
		sum := 0
		for _, b := range h {
			sum += int(b)
		}
		copy(h[148:], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7),
			'0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0, ' '})
		return slices.Concat(head, member(h, v.content[parts[0].SHA256]), end)
	}
	kind := func(k byte) []byte { return changed(func(h *tarHeader) { h[156] = k; copy(h[157:], "/etc/passwd") }) }
	named := func(name string) []byte {
		return changed(func(h *tarHeader) { clear(h[:100]); copy(h[:], name) })
	}
	sized := func(size string) []byte { return changed(func(h *tarHeader) { copy(h[124:136], size+"\x00") }) }
	packed := func(add func(*tar.Writer) error) []byte {
		var out bytes.Buffer
		out.Write(head)
		w := tar.NewWriter(&out)
		if err := errors.Join(add(w), w.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for name, b := range map[string][]byte{
		"rubbish behind the end":      append(slices.Clone(whole), 0),
		"zeros behind the end":        append(slices.Clone(whole), make([]byte, 8192)...),
		"one block of zeros":          whole[:len(whole)-tarBlock],
		"rubbish in the end":          append(slices.Clone(whole[:len(whole)-1]), 1),
		"another member behind":       slices.Concat(whole[:len(whole)-2*tarBlock], part(3), end),
		"a part twice":                slices.Concat(head, part(0), part(0), end),
		"parts in another order":      slices.Concat(head, part(1), part(0), end),
		"no signature":                slices.Concat(head[:len(head)-1024], part(0), end),
		"no manifest":                 slices.Concat(part(0), end),
		"signature before manifest":   slices.Concat(member(newTarHeader(SignatureName, 1), []byte("x")), head, end),
		"the manifest again":          slices.Concat(head, head, end),
		"a hard link":                 kind('1'),
		"a symbolic link":             kind('2'),
		"a character device":          kind('3'),
		"a block device":              kind('4'),
		"a folder":                    kind('5'),
		"a pipe":                      kind('6'),
		"a file of old tar":           kind(0),
		"a contiguous file":           kind('7'),
		"a pax header":                kind('x'),
		"a global pax header":         kind('g'),
		"GNU's long name":             kind('L'),
		"GNU's long link":             kind('K'),
		"GNU's sparse file":           kind('S'),
		"a path that leads out":       named("../../etc/passwd"),
		"an absolute path":            named("/etc/passwd"),
		"a backslash":                 named(`boot\vmlinuz`),
		"capital letters":             named("BOOT/VMLINUZ"),
		"a name of no part":           named("boot/other"),
		"a name with more behind it":  named("boot/vmlinuz\x00x"),
		"a prefix":                    changed(func(h *tarHeader) { copy(h[345:], "etc") }),
		"an owner":                    changed(func(h *tarHeader) { copy(h[108:], "0001750") }),
		"a mode":                      changed(func(h *tarHeader) { copy(h[100:], "0004755") }),
		"another size":                sized("00000000100"),
		"a size of 8 GiB":             sized("77777777777"),
		"a size in base 256":          sized("\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x21"),
		"a negative size":             sized("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"a checksum that is wrong":    slices.Concat(head, part(0)[:148], []byte("000000"), part(0)[154:], end),
		"padding that is not zero":    slices.Concat(head, part(0)[:tarBlock+511], []byte{1}, end),
		"not a tar":                   []byte(strings.Repeat("<html>", 1000)),
		"gzip of one":                 append([]byte("\x1f\x8b\x08\x00"), whole...),
		"only zeros":                  make([]byte, 1<<20),
		"a manifest larger than said": member(newTarHeader(ManifestName, MaxManifest+1), make([]byte, MaxManifest+1)),
		"a long name of pax": packed(func(w *tar.Writer) error {
			return w.WriteHeader(&tar.Header{Name: "boot/" + strings.Repeat("x", 300), Mode: 0o444})
		}),
	} {
		parts, err := readAll(t, b, by)
		if !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v, want %v", name, err, ErrBundle)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\x00\x1b\n") || len(err.Error()) > 300) {
			t.Errorf("%s is said as %q", name, err)
		}
		for n := range parts {
			if !slices.ContainsFunc(v.manifest.Parts, func(p Part) bool { return p.Name == n }) {
				t.Errorf("%s: %s was taken", name, n)
			}
		}
	}
}

// A part's bytes are counted by the manifest, whatever whoever takes them reads.
func TestReadBundlePassesOverWhatIsNotRead(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	var names []string
	err := ReadBundle(bytes.NewReader(v.bundle(t)), check(Manifest{}, nil, by.public),
		func(p Part, r io.Reader) error {
			names = append(names, p.Name)
			_, err := io.ReadFull(r, make([]byte, min(p.Size, 3)))
			return err
		})
	if err != nil || len(names) != len(v.manifest.Parts) {
		t.Errorf("ReadBundle = %v, took %q", err, names)
	}
}

func TestErrorsOfBothSidesEndTheReading(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	stop := errors.New("stop")
	ok := check(Manifest{}, nil, by.public)
	never := func(Part, io.Reader) error { t.Error("a part was taken"); return nil }
	refuse := func(_, _ []byte) (Manifest, error) { return v.manifest, stop }
	err := ReadBundle(bytes.NewReader(v.bundle(t)), refuse, never)
	if !errors.Is(err, stop) {
		t.Errorf("begin refuses: %v, want %v", err, stop)
	}
	err = ReadBundle(bytes.NewReader(v.bundle(t)), ok, func(Part, io.Reader) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("take fails: %v, want %v", err, stop)
	}
	whole := v.bundle(t)
	for _, n := range []int{0, 100, 600, len(whole) / 2, len(whole)} {
		r := io.MultiReader(bytes.NewReader(whole[:n]), errReader{stop})
		if err := ReadBundle(r, ok, func(Part, io.Reader) error { return nil }); !errors.Is(err, stop) ||
			errors.Is(err, ErrBundle) {
			t.Errorf("the line breaks after %d bytes: %v, want %v", n, err, stop)
		}
	}
	whole[len(whole)-3*tarBlock]++
	s, _ := newSpool(t)
	if _, err := s.Take(bytes.NewReader(whole), nil, 0, ok); !errors.Is(err, ErrPart) || s.Has(v.manifest.Root()) {
		t.Errorf("a changed root: %v, want %v", err, ErrPart)
	}
}

// GNU tar's own forms of the same files, and of worse ones.
func TestOtherFormsOfTarAreRefused(t *testing.T) {
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	dir := t.TempDir()
	writeFile(t, v.bundle(t), dir, "x.update")
	gnuTar(t, dir, "-xf", "x.update")
	writeFile(t, nil, dir, "hole")
	err := errors.Join(os.Truncate(filepath.Join(dir, "hole"), 1<<30), os.Symlink("root", filepath.Join(dir, "link")))
	if err != nil {
		t.Fatal(err)
	}
	plain := []string{"--mode=0444", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@" + strconv.Itoa(tarTime),
		ManifestName, SignatureName, "boot/vmlinuz", "boot/cmdline.txt", "boot/overlays/README", "root"}
	for name, args := range map[string][]string{
		"GNU's own":             append([]string{"--format=gnu"}, plain...),
		"pax":                   append([]string{"--format=pax"}, plain...),
		"v7":                    append([]string{"--format=v7"}, plain...),
		"in records of 10 KiB":  append([]string{"--format=ustar"}, plain...),
		"with a hole of 1 GiB":  append([]string{"--format=gnu", "-S", "-b1"}, append(plain, "hole")...),
		"a hole in pax":         append([]string{"--format=pax", "-S", "-b1"}, append(plain, "hole")...),
		"with a link":           append([]string{"--format=ustar", "-b1"}, append(plain, "link")...),
		"as a user has files":   {"--format=ustar", "-b1", ManifestName, SignatureName, "root"},
		"packed":                append([]string{"-z"}, plain...),
		"with a folder":         append([]string{"--format=ustar", "-b1"}, append(plain, "boot")...),
		"all but the signature": {"--format=ustar", "-b1", "--mode=0444", ManifestName, "root"},
	} {
		gnuTar(t, dir, append([]string{"-cf", "y.update"}, args...)...)
		_, err := readAll(t, readFile(t, dir, "y.update"), by)
		if !errors.Is(err, ErrBundle) {
			t.Errorf("%s: %v, want %v", name, err, ErrBundle)
		}
		if name == "GNU's own" && !strings.Contains(err.Error(), "not as camctl writes it") {
			t.Errorf("%s: %v, want what to do instead", name, err)
		}
	}
}

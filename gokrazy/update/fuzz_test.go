package update

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// What is parsed can be encoded, and is parsed as the same again.
func FuzzParseManifest(f *testing.F) {
	f.Add(manifestText("", ""))
	f.Add(manifestText(`"keys": []`, `"keys": [], "more": [{}, [1, "x"], null]`))
	f.Add(newVersion(f, newSigner(f), testIndex).raw)
	f.Add([]byte(`{"format": 2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseManifest(raw)
		if err != nil {
			if !errors.Is(err, ErrManifest) && !errors.Is(err, ErrFormat) {
				t.Errorf("ParseManifest = %v, neither %v nor %v", err, ErrManifest, ErrFormat)
			}
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatalf("was parsed and cannot be encoded: %v", err)
		}
		if n, err := ParseManifest(again); err != nil || !n.Equal(m) {
			t.Errorf("encoded and parsed again: %+v, %v, want %+v", n, err, m)
		}
	})
}

// Nothing but the right signature over the right bytes is believed, and no key is that is not
// spelled as minisign does.
func FuzzVerify(f *testing.F) {
	by := newSigner(f)
	raw := []byte("signed")
	sig := by.sign(f, raw)
	f.Add(raw, sig, by.public)
	f.Add([]byte("other"), sig, by.public)
	f.Add(raw, sig[:100], by.public[:55])
	f.Fuzz(func(t *testing.T, b, s []byte, key string) {
		err := Verify(b, s, []string{by.public})
		if err == nil && (!bytes.Equal(b, raw) || !bytes.Equal(withoutUntrusted(s), withoutUntrusted(sig))) {
			t.Errorf("believed %q with %q", b, s)
		}
		if CheckKey(key) == nil && len(key) != 56 {
			t.Errorf("%q is a key", key)
		}
		_ = Verify(b, s, []string{key})
	})
}

// withoutUntrusted leaves out the one line of a signature that is not signed.
func withoutUntrusted(sig []byte) []byte {
	_, rest, _ := bytes.Cut(sig, []byte("\n"))
	return rest
}

// A stream with a few bytes changed is refused, or it is the bundle all the same.
func FuzzReadBundle(f *testing.F) {
	by := newSigner(f)
	v := newVersion(f, by, testIndex)
	whole := v.bundle(f)
	f.Add(uint32(0), []byte("x"), uint32(len(whole)))
	f.Add(uint32(100), []byte("0000777"), uint32(len(whole)))
	f.Add(uint32(4*tarBlock), []byte("root"), uint32(8*tarBlock))
	f.Add(uint32(len(whole)), []byte{0}, uint32(len(whole)+1))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, end uint32) {
		b := append(bytes.Clone(whole), make([]byte, 2*tarBlock)...)
		copy(b[min(int(at), len(b)):], patch)
		b = b[:min(int(end), len(b))]
		read := int64(0)
		err := ReadBundle(bytes.NewReader(b), check(Manifest{}, nil, by.public), func(p Part, r io.Reader) error {
			n, err := io.Copy(io.Discard, r)
			read += n
			if n > p.Size {
				t.Errorf("%s has %d bytes, the manifest says %d", p.Name, n, p.Size)
			}
			return err
		})
		if err == nil && len(b) != len(whole) {
			t.Errorf("%d bytes are a bundle, it has %d", len(b), len(whole))
		}
		if err == nil && read > int64(len(whole)) {
			t.Errorf("%d bytes of parts", read)
		}
	})
}

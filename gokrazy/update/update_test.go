package update

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"testing"

	"aead.dev/minisign"
)

const testIndex = 1_790_000_000

// A signer has a pair of keys.
type signer struct {
	public  string
	private minisign.PrivateKey
}

func newSigner(t testing.TB) signer {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return signer{public.String(), private}
}

// sign signs in the hashed form.
func (s signer) sign(t testing.TB, raw []byte) []byte {
	t.Helper()
	r := minisign.NewReader(bytes.NewReader(raw))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	return r.SignWithComments(s.private, "index:1", "of a test")
}

// A version is a manifest with its bytes and those of its parts.
type version struct {
	manifest Manifest
	raw, sig []byte
	content  map[string][]byte // by hash
}

// open is for WriteBundle.
func (v version) open(p Part) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(v.content[p.SHA256])), nil
}

// bundle is that of these parts, all if there are none.
func (v version) bundle(t testing.TB, parts ...Part) []byte {
	t.Helper()
	if len(parts) == 0 {
		parts = v.manifest.Parts
	}
	var out bytes.Buffer
	if err := WriteBundle(&out, v.raw, v.sig, parts, v.open); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// newVersion makes a small version for the board rpi. Its root is made of the index.
func newVersion(t testing.TB, by signer, index int64, keys ...string) version {
	t.Helper()
	v := version{content: map[string][]byte{}}
	v.manifest = Manifest{
		Format: Format, Board: "rpi", Version: fmt.Sprintf("v%d", index-testIndex), Index: index,
		TrialS: 5, MinimumLayout: 1, Keys: keys,
	}
	for _, f := range []struct{ name, content string }{
		{"boot/vmlinuz", "a kernel that all versions share"},
		{"boot/cmdline.txt", "root=PARTUUID=1/PARTNROFF=1\n"},
		{"boot/overlays/README", ""},
		{"root", string(bytes.Repeat(fmt.Appendf(nil, "root of %d ", index), 5000))},
	} {
		v.add(f.name, []byte(f.content))
	}
	v.seal(t, by)
	return v
}

func (v *version) add(name string, content []byte) {
	sum := sha256.Sum256(content)
	p := Part{Name: name, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	v.manifest.Parts = append(v.manifest.Parts, p)
	v.content[p.SHA256] = content
}

// seal writes and signs the manifest.
func (v *version) seal(t testing.TB, by signer) {
	t.Helper()
	var err error
	if v.raw, err = v.manifest.Encode(); err != nil {
		t.Fatal(err)
	}
	v.sig = by.sign(t, v.raw)
}

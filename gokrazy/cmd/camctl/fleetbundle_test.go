package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/gokrazy/update"
)

// signedBundle writes a small bundle for the board rpi with a root of size bytes, signed. It gives its
// path and the public key.
func signedBundle(t *testing.T, version string, index int64, size int) (path, public string) {
	t.Helper()
	key, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string][]byte{}
	m := update.Manifest{
		Format: update.Format, Board: "rpi", Version: version, Index: index, TrialS: 5, MinimumLayout: 1,
		Keys: []string{key.String()},
	}
	for _, f := range []struct{ name, text string }{
		{"boot/vmlinuz", "a kernel"}, {"boot/cmdline.txt", "root=PARTUUID=1/PARTNROFF=1\n"},
		{"boot/overlays/README", "overlays"},
		{"root", string(bytes.Repeat(fmt.Appendf(nil, "root of %d ", index), size/8+1)[:size])},
	} {
		sum := sha256.Sum256([]byte(f.text))
		p := update.Part{Name: f.name, Size: int64(len(f.text)), SHA256: hex.EncodeToString(sum[:])}
		m.Parts, content[p.SHA256] = append(m.Parts, p), []byte(f.text)
	}
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := minisign.NewReader(bytes.NewReader(raw))
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = update.WriteBundle(&out, raw, r.SignWithComments(secret, "", ""), m.Parts,
		func(p update.Part) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content[p.SHA256])), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), m.BundleName())
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, key.String()
}

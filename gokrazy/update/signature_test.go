package update

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/farend/need"
)

// debian runs Debian's minisign in a folder.
func debian(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	need.Tools(t, "minisign")
	cmd := exec.Command("minisign", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustDebian(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := debian(t, dir, args...); err != nil {
		t.Fatalf("minisign %q: %v\n%s", args, err, out)
	}
}

func readFile(t *testing.T, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, b []byte, elem ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(elem...), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSignatureOfDebiansMinisignIsTakenInItsHashedFormOnly(t *testing.T) {
	dir := t.TempDir()
	mustDebian(t, dir, "-G", "-W", "-p", "k.pub", "-s", "k.key")
	raw := newVersion(t, newSigner(t), testIndex).raw
	writeFile(t, raw, dir, ManifestName)
	lines := strings.Fields(string(readFile(t, dir, "k.pub")))
	key := lines[len(lines)-1]

	mustDebian(t, dir, "-S", "-H", "-s", "k.key", "-m", ManifestName, "-t", "index:1")
	sig := readFile(t, dir, SignatureName)
	if err := Verify(raw, sig, []string{key}); err != nil {
		t.Errorf("hashed form: %v", err)
	}
	// Debian's minisign leaves out a name's leading zeros.
	signature, err := parseSignature(sig)
	name := KeyName(signature.KeyID)
	if err != nil || !bytes.Contains(readFile(t, dir, "k.pub"), []byte(strings.TrimLeft(name, "0"))) {
		t.Errorf("KeyName = %s, %v, not the name that Debian's minisign wrote", name, err)
	}
	mustDebian(t, dir, "-S", "-l", "-s", "k.key", "-m", ManifestName)
	err = Verify(raw, readFile(t, dir, SignatureName), []string{key})
	if !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "minisign -H") {
		t.Errorf("legacy form: %v, want %v that says how to sign", err, ErrSignature)
	}
}

func TestDebiansMinisignTakesOurSignature(t *testing.T) {
	dir := t.TempDir()
	by := newSigner(t)
	v := newVersion(t, by, testIndex)
	writeFile(t, v.raw, dir, ManifestName)
	writeFile(t, v.sig, dir, SignatureName)
	mustDebian(t, dir, "-V", "-H", "-P", by.public, "-m", ManifestName)
	writeFile(t, append(v.raw, ' '), dir, ManifestName)
	if out, err := debian(t, dir, "-V", "-H", "-P", by.public, "-m", ManifestName); err == nil {
		t.Errorf("minisign took a changed manifest: %s", out)
	}
}

func TestSignatureIsRefused(t *testing.T) {
	by, other := newSigner(t), newSigner(t)
	v := newVersion(t, by, testIndex)
	raw, sig := v.raw, v.sig
	lines := strings.Split(string(sig), "\n")
	with := func(i int, line string) []byte {
		changed := append([]string{}, lines...)
		changed[i] = line
		return []byte(strings.Join(changed, "\n"))
	}
	// twisted flips a bit of the base64 in a line.
	twisted := func(i, at int) []byte {
		b, err := base64.StdEncoding.DecodeString(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		return with(i, base64.StdEncoding.EncodeToString(b))
	}
	for _, c := range []struct {
		name     string
		raw, sig []byte
		keys     []string
		want     error
		words    string
	}{
		{"no signature", raw, nil, []string{by.public}, ErrSignature, "not signed"},
		{"not a signature", raw, []byte("x\n"), []string{by.public}, ErrSignature, ""},
		{"a long one", raw, make([]byte, MaxSignature+1), []string{by.public}, ErrSignature, "longer"},
		{"no key", raw, sig, nil, ErrNoKey, "takes no update"},
		{"another's key", raw, sig, []string{other.public}, ErrSignature, "believes " + name(t, other.public)},
		{"keys that are none", raw, sig, []string{"", "RW", "\x1b"}, ErrSignature, "believes"},
		{"a changed manifest", append(bytes.Clone(raw), ' '), sig, []string{by.public}, ErrSignature, "did not sign"},
		{"an empty manifest", nil, sig, []string{by.public}, ErrSignature, "did not sign"},
		{"a long manifest", make([]byte, MaxManifest+1), sig, []string{by.public}, ErrManifest, "longer"},
		{"a changed trusted comment", raw, with(2, "trusted comment: index:2"), []string{by.public}, ErrSignature, ""},
		{"a changed signature", raw, twisted(1, 40), []string{by.public}, ErrSignature, "did not sign"},
		{"a changed signature of the comment", raw, twisted(3, 40), []string{by.public}, ErrSignature, ""},
		{"another algorithm", raw, twisted(1, 0), []string{by.public}, ErrSignature, "algorithm"},
		{"the hashed one, called legacy", raw, twisted(1, 1), []string{by.public}, ErrSignature, ""},
		{"another key's name", raw, twisted(1, 2), []string{by.public}, ErrSignature, "believes"},
		{"rubbish behind it", raw, append(bytes.Clone(sig), "x"...), []string{by.public}, ErrSignature, ""},
		{"newlines behind it", raw, append(bytes.Clone(sig), "\n\n"...), []string{by.public},
			ErrSignature, "as minisign"},
		{"Windows line ends", raw, bytes.ReplaceAll(sig, []byte("\n"), []byte("\r\n")), []string{by.public},
			ErrSignature, ""},
		{"cut", raw, sig[:len(sig)/2], []string{by.public}, ErrSignature, ""},
	} {
		err := Verify(c.raw, c.sig, c.keys)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: Verify = %v, want %v (%s)", c.name, err, c.want, c.words)
		}
	}
	legacy := minisign.SignWithComments(by.private, raw, "t", "u")
	if err := Verify(raw, legacy, []string{by.public}); !errors.Is(err, ErrSignature) {
		t.Errorf("the legacy form: %v, want %v", err, ErrSignature)
	}
}

// name is the name of a public key.
func name(t *testing.T, public string) string {
	t.Helper()
	key, err := parseKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return KeyName(key.ID())
}

func TestOneOfSeveralKeysIsEnough(t *testing.T) {
	by, other := newSigner(t), newSigner(t)
	v := newVersion(t, by, testIndex)
	// A key with the name of ours and other bytes: the name proves nothing.
	b, err := base64.StdEncoding.DecodeString(by.public)
	if err != nil {
		t.Fatal(err)
	}
	b[20] ^= 1
	namesake := base64.StdEncoding.EncodeToString(b)
	for what, keys := range map[string][]string{
		"first": {by.public, other.public}, "last": {other.public, by.public},
		"behind one that cannot be read": {"x", by.public}, "behind a namesake": {namesake, by.public},
	} {
		if err := Verify(v.raw, v.sig, keys); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := Verify(v.raw, v.sig, []string{namesake}); !errors.Is(err, ErrSignature) {
		t.Errorf("a namesake alone: %v, want %v", err, ErrSignature)
	}
}

func TestCheckKey(t *testing.T) {
	good := newSigner(t).public
	if err := CheckKey(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "RW", good + "\n", " " + good, good[:55], good + good, strings.ToLower(good),
		"untrusted comment: x\n" + good, "RWQ" + strings.Repeat("\n", 60), good[:55] + "="} {
		if err := CheckKey(bad); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "\n") {
			t.Errorf("CheckKey(%q) = %v, want %v", bad, err, ErrKey)
		}
	}
}

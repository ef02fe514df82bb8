package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/scrypt"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// newKeys makes a pair of keys in a folder of the test.
func newKeys(t *testing.T, args ...string) keyReport {
	t.Helper()
	file := filepath.Join(t.TempDir(), "update.key")
	code, stdout, stderr := camctl(t, append([]string{"keys", "new", "--json", "-o", file}, args...)...)
	if code != exitDone {
		t.Fatal(stderr)
	}
	var r keyReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// runMinisign runs Debian's in the folder of a file.
func runMinisign(t *testing.T, stdin, file string, args ...string) string {
	t.Helper()
	need.Tools(t, "minisign")
	cmd := exec.Command("minisign", args...)
	cmd.Dir = filepath.Dir(file)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("minisign %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestKeysAreMinisignsAndTheOwnersAlone(t *testing.T) {
	r := newKeys(t)
	info, err := os.Stat(r.Secret)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the secret key: %v, %v", info.Mode(), err)
	}
	if r.Public != strings.TrimSuffix(r.Secret, ".key")+".pub" || r.Protected || update.CheckKey(r.Key) != nil {
		t.Errorf("made %+v", r)
	}
	for _, file := range []string{r.Secret, r.Public} {
		if code, stdout, stderr := camctl(t, "keys", "show", file); code != exitDone || stdout != r.Key+"\n" {
			t.Errorf("keys show %s: exit code %d, %q, %q, want %s", file, code, stdout, stderr, r.Key)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.Secret), "signed"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	runMinisign(t, "", r.Secret, "-S", "-s", r.Secret, "-m", "signed")
	runMinisign(t, "", r.Secret, "-V", "-p", r.Public, "-m", "signed")
}

func TestKeysOfDebiansMinisignAreRead(t *testing.T) {
	secret, public := filepath.Join(t.TempDir(), "minisign.key"), "minisign.pub"
	runMinisign(t, "", secret, "-G", "-W", "-s", secret, "-p", public)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(secret), public))
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := camctl(t, "keys", "show", secret)
	if code != exitDone || !strings.Contains(string(text), "\n"+stdout) {
		t.Errorf("exit code %d, %q, %q, want the key of\n%s", code, stdout, stderr, text)
	}
}

// protectedKey writes a secret key's file that costs 1 MiB to read. minisign's own format says what it
// costs; camctl, as minisign, makes files of 1 GiB and seconds, and the race detector multiplies those.
// Source: minisign's seckey_struct, and libsodium's pickparams for these limits: N = 1024, r = 8, p = 1.
func protectedKey(t *testing.T, password string) (file string, public minisign.PublicKey) {
	t.Helper()
	const opsLimit, memLimit = 1 << 15, 1 << 24
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	open, err := private.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	comment, key, _ := bytes.Cut(open, []byte("\n"))
	b, err := base64.StdEncoding.AppendDecode(nil, key)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[2:], "Sc")
	binary.LittleEndian.PutUint64(b[38:], opsLimit)
	binary.LittleEndian.PutUint64(b[46:], memLimit)
	sum := blake2b.Sum256(append(slices.Clone(b[:2]), b[54:126]...))
	copy(b[126:], sum[:])
	stream, err := scrypt.Key([]byte(password), b[6:38], 1024, 8, 1, len(b[54:]))
	if err != nil {
		t.Fatal(err)
	}
	subtle.XORBytes(b[54:], b[54:], stream)
	file = filepath.Join(t.TempDir(), "protected.key")
	text := fmt.Appendf(nil, "%s\n%s\n", comment, base64.StdEncoding.EncodeToString(b))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, public
}

func TestProtectedKeyIsReadByItsPasswordAlone(t *testing.T) {
	file, public := protectedKey(t, "open sesame")
	passwordFile := filepath.Join(t.TempDir(), "password")
	show := []string{"keys", "show", "--json", file}
	withPassword := append(slices.Clone(show), "--password-file", passwordFile)
	if err := os.WriteFile(passwordFile, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := camctl(t, withPassword...)
	var r keyReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.Key != public.String() || !r.Protected {
		t.Errorf("exit code %d, %q, %q, want %s", code, stdout, stderr, public)
	}
	if line := lineOfFailure(t, "no password", show); !strings.Contains(line, "--password-file") {
		t.Errorf("without the password: %q", line)
	}
	if err := os.WriteFile(passwordFile, []byte("open barley\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if line := lineOfFailure(t, "wrong password", withPassword); !strings.Contains(line, "wrong password") {
		t.Errorf("with another one: %q", line)
	}
	runMinisign(t, "open sesame\n", file, "-R", "-s", file, "-p", file+".pub") // it is a key of minisign's, too
	if code, stdout, _ := camctl(t, "keys", "show", file+".pub"); stdout != public.String()+"\n" {
		t.Errorf("minisign reads another key of it: exit code %d, %q, want %s", code, stdout, public)
	}
}

// The real cost, twice: 1 GiB and seconds each are minisign's own, and no option of the library's. The
// name keeps the test from the race detector.
func TestPasswordProtectsANewKeyWithMuchMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newKeys(t, "--password-file", file)
	if !r.Protected {
		t.Errorf("made %+v", r)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.Secret), "signed"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	runMinisign(t, "open sesame\n", r.Secret, "-S", "-s", r.Secret, "-m", "signed")
	runMinisign(t, "", r.Secret, "-V", "-p", r.Public, "-m", "signed")
}

func TestKeyFilesThatAreNotTaken(t *testing.T) {
	r := newKeys(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	secret, err := os.ReadFile(r.Secret)
	if err != nil {
		t.Fatal(err)
	}
	k := []string{"keys", "new", "-o", filepath.Join(dir, "k"), "--password-file"}
	shown := write("shown.key", string(secret), 0o644)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"a file that is there", []string{"keys", "new", "-o", r.Secret}, "a key is never replaced"},
		{"a public key that is there", []string{"keys", "new", "-o", write("x.pub", "", 0o600)[:len(dir)+2] + ".key"},
			"x.pub: file already exists"},
		{"a secret key for an image",
			[]string{"image", "--board", "rpi", "-o", filepath.Join(dir, "x"), "--update-key", r.Secret},
			"ends in .pub"},
		{"no folder", []string{"keys", "new", "-o", filepath.Join(dir, "nowhere", "k")}, "no such file"},
		{"a secret key that others can read", []string{"keys", "show", shown}, "chmod 600"},
		{"no key", []string{"keys", "show", write("none", "hello\n", 0o600)}, "no key of minisign"},
		{"a short key", []string{"keys", "show", write("short", r.Key[:40], 0o600)}, "no key of minisign"},
		{"no file", []string{"keys", "show", filepath.Join(dir, "nothing")}, "no such file"},
		{"a password that others can read", append(k, write("p", "x", 0o644)), "chmod 600"},
		{"an empty password", append(k, write("e", "\n", 0o600)), "one line"},
	} {
		if line := lineOfFailure(t, c.name, c.args); !strings.Contains(line, c.want) {
			t.Errorf("%s: %q, want %q", c.name, line, c.want)
		}
	}
	if left, err := os.ReadFile(r.Secret); err != nil || string(left) != string(secret) {
		t.Errorf("the key was changed: %v", err)
	}
}

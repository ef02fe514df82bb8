package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

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

// One derivation takes 1 GiB and seconds: it is minisign's own.
func TestPasswordProtectsASecretKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newKeys(t, "--password-file", file)
	if !r.Protected {
		t.Errorf("made %+v", r)
	}
	line := lineOfFailure(t, "no password", []string{"keys", "show", r.Secret})
	if !strings.Contains(line, "--password-file") {
		t.Errorf("without the password: %q", line)
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

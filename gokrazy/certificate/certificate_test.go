package certificate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

func TestOpensslReadsThePairAndGivesTheSameFingerprint(t *testing.T) {
	need.Tools(t, "openssl")
	pair, err := Make()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string]string{cert: pair.Certificate, key: pair.Key} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		out, err := exec.Command("openssl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	got, err := ParseFingerprint(run("x509", "-in", cert, "-noout", "-fingerprint", "-sha256"))
	want, wantErr := pair.Fingerprint()
	if err != nil || wantErr != nil || got != want {
		t.Errorf("openssl's fingerprint = %q, %v, want %q, %v", got, err, want, wantErr)
	}
	if run("pkey", "-in", key, "-pubout") != run("x509", "-in", cert, "-noout", "-pubkey") {
		t.Error("openssl takes key and certificate for two pairs")
	}
	if _, err := pair.TLS(); err != nil {
		t.Error(err)
	}
}

func TestPairThatDoesNotFitIsRefusedWithoutShowingTheKey(t *testing.T) {
	a, errA := Make()
	b, errB := Make()
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a == b {
		t.Fatal("the same pair twice")
	}
	for name, p := range map[string]Pair{
		"two pairs":          {a.Certificate, b.Key},
		"no key":             {Certificate: a.Certificate},
		"key as certificate": {a.Key, a.Key},
		"text":               {"certificate", "sesame"},
	} {
		if _, err := p.TLS(); err == nil || strings.Contains(err.Error(), "sesame") ||
			!strings.Contains(err.Error(), "do not fit") {
			t.Errorf("%s: error %v, want that they do not fit", name, err)
		}
	}
}

func TestParseFingerprintTakesWhatPeopleCopy(t *testing.T) {
	want := strings.Repeat("0a", 32)
	for _, s := range []string{
		want, strings.ToUpper(want), " " + want + "\n", "sha256 Fingerprint=" + strings.Repeat("0A:", 31) + "0A",
		"SHA256:" + want,
	} {
		if got, err := ParseFingerprint(s); got != want || err != nil {
			t.Errorf("ParseFingerprint(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0a", want + "0a", strings.Repeat("0g", 32)} {
		if got, err := ParseFingerprint(s); err == nil {
			t.Errorf("ParseFingerprint(%q) = %q, want an error", s, got)
		}
	}
}

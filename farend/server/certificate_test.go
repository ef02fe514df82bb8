package server

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/gateway"
)

// writePair makes a certificate for host and puts it where a server's is.
func writePair(t *testing.T, dir, host string) (certPath, keyPath string) {
	t.Helper()
	made := t.TempDir()
	if _, err := gateway.SelfSigned(made, []string{host}, time.Now(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	certPath, keyPath = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for from, to := range map[string]string{"gateway-cert.pem": certPath, "gateway-key.pem": keyPath} {
		if err := os.Rename(filepath.Join(made, from), to); err != nil {
			t.Fatal(err)
		}
	}
	return certPath, keyPath
}

func (c *certificate) name(t *testing.T) string {
	t.Helper()
	pair, err := c.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || len(pair.Leaf.DNSNames) != 1 {
		t.Fatalf("certificate %+v, %v", pair, err)
	}
	return pair.Leaf.DNSNames[0]
}

func TestCertificateFollowsItsFilesAndOutlivesBadOnes(t *testing.T) {
	dir := t.TempDir()
	certPath, keyPath := writePair(t, dir, "first.example")
	var said bytes.Buffer
	c, err := loadCertificate(certPath, keyPath, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c.watch()
	if said.Len() != 0 {
		t.Errorf("said of files that nobody changed: %s", said.String())
	}

	writePair(t, dir, "second.example")
	c.watch()
	if got := c.name(t); got != "second.example" {
		t.Errorf("after a change it shows %s", got)
	}

	if err := os.WriteFile(certPath, []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.watch()
	c.watch()
	if got := c.name(t); got != "second.example" {
		t.Errorf("after a broken file it shows %s", got)
	}
	if n := strings.Count(said.String(), "level=ERROR"); n != 1 {
		t.Errorf("said %d errors, want one:\n%s", n, said.String())
	}
	if err := os.Remove(certPath); err != nil {
		t.Fatal(err)
	}
	c.watch()
	writePair(t, dir, "third.example")
	c.watch()
	if got := c.name(t); got != "third.example" {
		t.Errorf("after a good one again it shows %s", got)
	}
}

// A file that could not be read at first, as one that is copied before its mode is set, looks the same
// later on: size and time are those of the copy.
func TestCertificateIsTriedAgainUntilItCanBeUsed(t *testing.T) {
	dir := t.TempDir()
	certPath, keyPath := writePair(t, dir, "first.example")
	var said bytes.Buffer
	c, err := loadCertificate(certPath, keyPath, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, dir, "second.example")
	good, err := os.ReadFile(certPath)
	if err != nil {
		t.Fatal(err)
	}
	copied := time.Now().Add(-time.Hour)
	for _, content := range [][]byte{bytes.Repeat([]byte("x"), len(good)), good} {
		if err := os.WriteFile(certPath, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(certPath, copied, copied); err != nil {
			t.Fatal(err)
		}
		c.watch()
		c.watch()
	}
	if got := c.name(t); got != "second.example" {
		t.Errorf("it shows %s", got)
	}
	errors, uses := strings.Count(said.String(), "level=ERROR"), strings.Count(said.String(), "in use")
	if errors != 1 || uses != 1 {
		t.Errorf("said %d errors and %d uses, want one of each:\n%s", errors, uses, said.String())
	}
}

// What cannot be used from the start is an error: nobody runs on the old one.
func TestCertificateThatCannotBeReadIsSaidAtTheStart(t *testing.T) {
	dir := t.TempDir()
	certPath, keyPath := writePair(t, dir, "a.example")
	_, otherKey := writePair(t, t.TempDir(), "b.example")
	log := slog.New(slog.DiscardHandler)
	for name, paths := range map[string][2]string{
		"a key of another": {certPath, otherKey},
		"no such file":     {filepath.Join(dir, "none"), keyPath},
		"a folder":         {dir, keyPath},
		"both the same":    {keyPath, keyPath},
	} {
		if _, err := loadCertificate(paths[0], paths[1], log); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

package gateway

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSelfSignedIsMadeOnceAndHoldsForABoardWithoutClock(t *testing.T) {
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	pair, err := SelfSigned(dir, []string{"192.0.2.1", "desk.local"}, time.Now(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	again, err := SelfSigned(dir, []string{"other"}, time.Now(), quiet)
	if err != nil || string(again.Certificate[0]) != string(pair.Certificate[0]) {
		t.Errorf("the second call made another certificate, %v", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	for _, host := range []string{"192.0.2.1", "desk.local"} {
		for _, now := range []time.Time{time.Unix(86400, 0), time.Now()} {
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool, CurrentTime: now}); err != nil {
				t.Errorf("%s at %v: %v", host, now, err)
			}
		}
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info, err)
	}
	if err := os.Remove(filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(dir, nil, time.Now(), quiet); err == nil || !strings.Contains(err.Error(), "lost its key") {
		t.Errorf("without its key: %v", err)
	}
}

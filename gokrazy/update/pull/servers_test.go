package pull

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// pythonServer is http.server behind TLS: it gives whole files only.
const pythonServer = `
import http.server, ssl, sys
s = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
c.load_cert_chain("pair.pem")
s.socket = c.wrap_socket(s.socket, server_side=True)
s.serve_forever()
`

// pair writes a certificate for 127.0.0.1 with its key, and gives whom to believe.
func pair(t *testing.T, path string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, certErr := x509.ParseCertificate(der)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(certErr, err); err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return roots
}

// freePort is one that nobody listened at a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// Servers that others wrote: neither knows ranges, and openssl's says no length either.
func TestFetchFromServersOfOthers(t *testing.T) {
	f := newFile(t, "v2", 2_000_000)
	for name, args := range map[string]func(port string) []string{
		"Python": func(port string) []string { return []string{"python3", "-c", pythonServer, port} },
		"openssl": func(port string) []string {
			return []string{"openssl", "s_server", "-quiet", "-WWW", "-cert", "pair.pem", "-accept",
				"127.0.0.1:" + port}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, port := t.TempDir(), freePort(t)
			command := args(port)
			need.Tools(t, command[0])
			roots := pair(t, filepath.Join(dir, "pair.pem"))
			if err := os.WriteFile(filepath.Join(dir, "rpi.update"), f.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Dir = dir
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			job := newJob(t, "https://127.0.0.1:"+port+"/rpi.update", roots)
			job.Limits.Pause = 50 * time.Millisecond
			for deadline := time.Now().Add(time.Minute); ; { // until it listens
				c, err := net.Dial("tcp", "127.0.0.1:"+port)
				if err == nil {
					c.Close()
					break
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			if _, err := Fetch(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			wantWhole(t, name, job, f)
		})
	}
}

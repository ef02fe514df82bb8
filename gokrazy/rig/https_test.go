// A board whose clock says 1970, without any time server, and an https gateway that refuses at
// first: it must stream all the same, and not a packet earlier.

package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/farendtest"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// refusals is how often the gateway says no before it grants: 1, 2 and 4 s of backoff.
const refusals = 3

// youngCertificate is valid from 2026 on: in 1970 it is not, and says so.
func youngCertificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gateway of the rig"},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2056, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(10, 0, 2, 2)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(text)
}

// A strictDesk is a far end over https whose gateway refuses at first.
type strictDesk struct {
	*farendtest.Desk
	port  int
	asked atomic.Int32
	early atomic.Uint64 // packets that came before the grant
}

func startStrictDesk(t *testing.T, certificate tls.Certificate) *strictDesk {
	t.Helper()
	d := &strictDesk{}
	d.Desk = farendtest.New(t, farendtest.Config{Key: rigKey, Before: func() {
		d.early.Store(d.Receiver.Totals().Datagrams)
	}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.port = listener.Addr().(*net.TCPAddr).Port
	web := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0), // what a board complains about, it complains about on its side
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d.asked.Add(1) <= refusals {
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprint(w, `{"error_code": 5031, "error_txt": "not yet"}`)
				return
			}
			d.Gateway.ServeHTTP(w, r)
		}),
	}
	ended := make(chan error, 1)
	go func() {
		ended <- web.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	}()
	t.Cleanup(func() {
		web.Close()
		<-ended
	})
	return d
}

func TestBoardWithoutAClockStreamsOverHTTPSOnceGrantedInVM(t *testing.T) {
	image := builtImage(t)
	need.Tools(t, "qemu-system-aarch64")
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	certificate, ca := youngCertificate(t)
	desk := startStrictDesk(t, certificate)
	seed, err := json.Marshal(map[string]any{
		"gateway": map[string]any{"url": fmt.Sprintf("https://10.0.2.2:%d/", desk.port), "key": rigKey, "ca": ca},
		"stream":  map[string]any{"size": "320x240"},
		"time":    map[string]any{"ntp": []string{"10.0.2.2"}}, // where nobody answers
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Start(ctx, vm.Config{
		Image: image, Snapshot: true, Seed: seed, NoRTC: true, Camera: virtualcam.New(virtualcam.NewPattern()),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ready, err := m.WaitLine(ctx, regexp.MustCompile(`init READY`))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`clock=20\d\d-\S*\(build\)`).MatchString(ready.Text) {
		t.Errorf("%s: want a clock that was raised to the build's time", ready.Text)
	}
	for desk.Stats().Frames < 60 && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	s := desk.Stats()
	t.Logf("FIGURE board in 1970, https gateway, no time server: %d frames after %d refusals, "+
		"%d packets before the grant", s.Frames, refusals, desk.early.Load())
	if s.Frames < 60 {
		t.Errorf("%d frames arrived, want 60; the gateway was asked %d times", s.Frames, desk.asked.Load())
	}
	if early := desk.early.Load(); early != 0 {
		t.Errorf("%d RTP and RTCP packets came before the grant, want 0", early)
	}
}

// A gateway that names one port for RTP and RTCP, and tells the stream by its SSRC.

package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestProcessSendsRTPAndRTCPToTheOnePortOfAGateway(t *testing.T) {
	media := sink(t)
	port := media.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port()
	var announced atomic.Uint32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var asked wire.Request
		_ = json.Unmarshal(body, &asked) // a request of ours
		w.Header().Set("Content-Type", "text/html")
		switch asked.Action {
		case wire.ActionNewUtilizationID:
			_, _ = io.WriteString(w, "\xef\xbb\xbf"+`{"utilization_id": 7}`+"\n")
		case wire.ActionStartStream:
			announced.Store(asked.SSRC)
			fmt.Fprintf(w, "\xef\xbb\xbf{\"url\": \"127.0.0.1\", \"rtp_port\": %d, \"rtcp_port\": \"%d\"}", port, port)
		case wire.ActionValidateStream:
			_, _ = io.WriteString(w, `{"validation_code": "0"}`)
		case wire.ActionStopStream:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	state := filepath.Join(t.TempDir(), "state")
	// Else only root gets there, and camsource ceases to be it.
	if err := os.Chmod(filepath.Dir(filepath.Dir(state)), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t), "--camera", "pattern", "--size", "320x240", "--gateway", server.URL,
		"--key", "k", "--allow-http", "--allow-loopback", "--state", state)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if err := media.SetReadDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	froms := map[string]bool{}
	b := make([]byte, 2048)
	for rtp, reports := 0, 0; rtp < 30 || reports < 1; {
		n, from, err := media.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatalf("%d packets of RTP, %d of RTCP, then %v", rtp, reports, err)
		}
		froms[from.String()] = true
		at := 8 // where RTP has its SSRC
		if b[1] >= 192 && b[1] <= 223 {
			reports++
			at = 4
		} else {
			rtp++
		}
		if n < 12 || binary.BigEndian.Uint32(b[at:]) != announced.Load() {
			t.Fatalf("a packet of % x, want SSRC %08x", b[:min(n, 12)], announced.Load())
		}
	}
	if len(froms) != 1 || announced.Load() == 0 {
		t.Errorf("packets from %v, SSRC %d, want one address and an SSRC", froms, announced.Load())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("camsource after SIGTERM: %v", err)
	}
}

// What camsource says about a gateway that does not grant, and how it ends then.

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// refusals are the codes of the protocol's table, one that it lacks, and what HTTP alone can say.
var refusals = []int{
	4001, 4002, 4003, 4004, 4005, 4006, 4011, 4012, 4013, 4051, 4052, 4053, 4081, 4091, 4092, 4093, 4151,
	5001, 5002, 5003, 5004, 5005, 5011, 5031, 4290,
}

// badGateway is a gateway that answers in one way and counts what is asked.
func badGateway(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL
}

func TestProcessWithAGatewayThatDoesNotGrantSaysOneLineAndGoesOn(t *testing.T) {
	path := program(t)
	type bad struct{ name, url, want string }
	var all []bad
	for _, code := range refusals {
		all = append(all, bad{fmt.Sprint(code), badGateway(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code / 10)
			fmt.Fprintf(w, `{"error_code": %d, "error_txt": "no"}`, code)
		}), fmt.Sprintf(`"%s (%d)"`, wire.ExplainCode(code), code)})
	}
	all = append(all, bad{"HTML", badGateway(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<!DOCTYPE html>\n<html>Welcome</html>")
	}), `"` + gateway.ErrPage.Error() + `"`})
	elsewhere := http.RedirectHandler("https://other.example/", http.StatusFound)
	all = append(all, bad{"elsewhere", badGateway(t, elsewhere.ServeHTTP), `"` + gateway.ErrRedirect.Error() + `"`})
	silent, closed := listenTCP(t), listenTCP(t)
	closed.Close()
	all = append(all, bad{"never answering", "http://" + silent.Addr().String(), `"` + gateway.ErrSilent.Error() + `"`})
	all = append(all, bad{"nobody there", "http://" + closed.Addr().String(), `"` + gateway.ErrUnreachable.Error() + `"`})
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lines, code := runUntilTrouble(t, path, c.url)
			if len(lines) != 1 || !strings.Contains(lines[0], "problem="+c.want) {
				t.Errorf("stderr has %q, want one line with %s", lines, c.want)
			}
			if code != 0 {
				t.Errorf("exit code %d after SIGTERM, want 0", code)
			}
		})
	}
}

// listenTCP takes connections and never says a word.
func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// runUntilTrouble runs camsource until it complains, ends it, and gives the warnings and
// errors it logged and its exit code.
func runUntilTrouble(t *testing.T, path, url string) (lines []string, code int) {
	t.Helper()
	allow := file(t, "krazycam.json", `{"gateway": {"allow-http": true, "key": "sesame"}}`)
	state := filepath.Join(t.TempDir(), "state")
	// Else only root gets there, and camsource ceases to be it.
	if err := os.Chmod(filepath.Dir(filepath.Dir(state)), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config", allow, "--camera", "pattern", "--gateway", url, "--state", state)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	patience := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() }) // it asks with a limit of 10 s
	defer patience.Stop()
	for s := bufio.NewScanner(stderr); s.Scan(); {
		if strings.Contains(s.Text(), "sesame") || strings.Contains(s.Text(), "READY") {
			t.Errorf("camsource says %s", s.Text())
		}
		if strings.Contains(s.Text(), "level=INFO") {
			continue
		}
		lines = append(lines, s.Text())
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	if err := cmd.Wait(); err != nil {
		t.Logf("camsource: %v", err)
	}
	return lines, cmd.ProcessState.ExitCode()
}

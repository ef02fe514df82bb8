// A board before and after DHCP: a network of its own, a real name server, and resolv.conf
// written last.

package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// inOwnNetwork runs this test again where it has a network of its own, which needs root.
func inOwnNetwork(t *testing.T) {
	t.Helper()
	need.Root(t, "for a network of its own")
	cmd := exec.Command("unshare", "--net", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "KRAZYCAM_OWN_NETWORK=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%v: %v", cmd, err)
	}
}

// command runs one word after the other.
func command(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// DHCP may write resolv.conf between a lookup that found nobody to ask and the look at why.
func TestLookupThatHadNobodyToAskSaysSoThoughThereIsSomebodyNow(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	n := newNameServers(conf)
	_, err := n.resolver.LookupNetIP(t.Context(), "ip", "gateway.test")
	if err == nil {
		t.Fatal("found a name without a name server")
	}
	if err := os.WriteFile(conf, []byte("nameserver 192.0.2.53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := explainLookup(err); !errors.Is(got, errNoNameServer) {
		t.Errorf("explainLookup = %v, want errNoNameServer", got)
	}
	other := &net.DNSError{Err: "no such host", Name: "gateway.test", IsNotFound: true}
	if got := explainLookup(other); errors.Is(got, errNoNameServer) || got != error(other) {
		t.Errorf("explainLookup = %v, want it as it was", got)
	}
}

func TestProcessFindsItsGatewayByNameAsSoonAsDHCPNamesAServer(t *testing.T) {
	if os.Getenv("KRAZYCAM_OWN_NETWORK") == "" {
		inOwnNetwork(t)
		return
	}
	command(t, "ip link set lo up")
	command(t, "ip link add name cam type veth peer name peer")
	command(t, "ip addr add 192.0.2.53/24 dev peer")
	command(t, "ip link set peer up")
	command(t, "ip link set cam up")
	dns := exec.CommandContext(t.Context(), "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
		"--conf-file=/dev/null", "--pid-file=",
		"--listen-address=192.0.2.53", "--bind-interfaces", "--user=root", "--address=/gateway.test/192.0.2.53")
	if err := dns.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dns.Wait() }) // killed by then
	l, err := net.Listen("tcp", "192.0.2.53:8080")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan time.Time, 100)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- time.Now()
		_, _ = io.WriteString(w, `{"error_code": 5031}`)
	}))
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	client := newClient(t, ClientConfig{URL: "http://gateway.test:8080/"})
	servers := newNameServers(conf)
	client.http.Transport.(*http.Transport).DialContext = servers.DialContext
	if _, err := client.NewUtilizationID(t.Context()); !errors.Is(err, errNoNameServer) ||
		!errors.Is(err, ErrUnreachable) {
		t.Fatalf("without a name server: %v, want ErrUnreachable and errNoNameServer", err)
	}
	session := NewSession(SessionConfig{Asker: client, Policy: Policy{Local: noInterfaces}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- session.Run(ctx, 640, 480, &revoked{}) }()
	time.Sleep(2 * time.Second) // it asked, again and again, and nothing left
	written := time.Now()
	if err := os.WriteFile(conf, []byte("# DHCP\nsearch lan\nnameserver 192.0.2.53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case at := <-asked:
		t.Logf("FIGURE gateway by name: asked %d ms after resolv.conf was written", at.Sub(written).Milliseconds())
		// The standard library would look at the file again after 5 s, a session that was refused ask
		// again after 30.
		if took := at.Sub(written); took < 0 || took > 3*time.Second {
			t.Errorf("asked %v after resolv.conf was written, want at most 3 s", took)
		}
	case <-time.After(10 * time.Second):
		t.Error("not asked within 10 s of a name server")
	}
	if addrs, err := servers.LookupNetIP(t.Context(), "ip", "gateway.test"); err != nil || len(addrs) != 1 {
		t.Errorf("LookupNetIP = %v, %v", addrs, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

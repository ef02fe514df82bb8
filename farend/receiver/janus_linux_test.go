// Debian's Janus, for comparison: it takes the same packets for mountpoints that nobody watches.

package receiver

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/forward/janus"
)

const janusConfig = `general: {
	configs_folder = %[1]q
	plugins_folder = "%[2]s/plugins"
	transports_folder = "%[2]s/transports"
	events_folder = %[1]q
	loggers_folder = %[1]q
	interface = "127.0.0.1"
}
nat: { ice_enforce_list = "lo" }
plugins: { disable = "%[3]s" }
transports: { disable = "%[4]s" }
events: { broadcast = false }
`

// A janusProcess is one Janus with mountpoints.
type janusProcess struct {
	*exec.Cmd
	handle   *janus.Handle
	resident float64 // bytes, before the first mountpoint
}

func startJanus(t *testing.T) *janusProcess {
	t.Helper()
	path, err := exec.LookPath("janus")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(filepath.Dir(path), "../lib/*/janus"))
	if err != nil || len(parts) != 1 {
		t.Fatalf("parts of %s: %v, %v", path, parts, err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	libraries := func(names string) string {
		return "libjanus_" + strings.ReplaceAll(names, " ", ".so,libjanus_") + ".so"
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"janus.jcfg": fmt.Sprintf(janusConfig, dir, parts[0],
			libraries("audiobridge duktape echotest lua nosip recordplay sip textroom videocall videoroom voicemail"),
			libraries("mqtt nanomsg pfunix rabbitmq websockets")),
		"janus.plugin.streaming.jcfg": `general: { rtp_port_range = "26000-26999" }`,
		"janus.transport.http.jcfg": fmt.Sprintf(`general: { json = "compact" base_path = "/janus" http = true `+
			`port = %d ip = "127.0.0.1" https = false } admin: { admin_http = false admin_https = false }`, port),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j := &janusProcess{}
	j.Cmd = exec.Command("janus", "--disable-colors", "-F", dir, "-C", filepath.Join(dir, "janus.jcfg"))
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.stop)
	server := janus.Server{URL: fmt.Sprintf("http://127.0.0.1:%d/janus", port), Client: http.DefaultClient}
	await(t, func() bool {
		j.handle, err = server.Attach(t.Context())
		return err == nil
	})
	j.resident = residentBytes(t, j.Process.Pid)
	return j
}

func (j *janusProcess) stop() {
	_ = j.Process.Kill()
	_ = j.Wait()
}

// ports makes a mountpoint.
func (j *janusProcess) ports(t *testing.T, i int) [2]int {
	t.Helper()
	p, err := j.handle.Create(t.Context(), janus.Request{
		Mountpoint: janus.Mountpoint{ID: uint64(i + 1)}, Secret: "s", Iface: "127.0.0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return [2]int{p.RTP, p.RTCP}
}

// cpu is what Janus used, in seconds of a core.
func (j *janusProcess) cpu(t *testing.T) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", j.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const userTime, systemTime, ticksPerSecond = 11, 12, 100 // proc(5), from the state on
	var sum float64
	for _, i := range []int{userTime, systemTime} {
		n, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum / ticksPerSecond
}

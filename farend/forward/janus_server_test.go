// Debian's Janus, and a viewer of it that is pion's.

package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/krazycam/krazycam/farend/need"
)

// A janusServer is Janus with a configuration of the test's. It can be started again.
type janusServer struct {
	t    *testing.T
	dir  string
	port int
	*program
}

const janusConfig = `general: {
	configs_folder = %[1]q
	plugins_folder = "%[2]s/plugins"
	transports_folder = "%[2]s/transports"
	events_folder = %[1]q
	loggers_folder = %[1]q
	interface = "127.0.0.1"
	debug_level = 4
	api_secret = "core"
}
nat: { ice_enforce_list = "lo" }
plugins: { disable = "%[3]s" }
transports: { disable = "%[4]s" }
events: { broadcast = false }
`

// janusParts are libraries that Janus need not load.
func janusParts(names ...string) string {
	for i, name := range names {
		names[i] = "libjanus_" + name + ".so"
	}
	return strings.Join(names, ",")
}

// newJanus starts Janus on ports of its own, for RTP among them.
func newJanus(t *testing.T) *janusServer {
	t.Helper()
	need.Tools(t, "janus")
	path, err := exec.LookPath("janus")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(filepath.Dir(path), "../lib/*/janus"))
	if err != nil || len(parts) != 1 {
		t.Fatalf("parts of %s: %v, %v", path, parts, err)
	}
	j := &janusServer{t: t, dir: t.TempDir(), port: freeTCP(t)}
	first := 30000 + 300*int(janusCount.Add(1)%9) // below the ports that the kernel gives out
	for name, text := range map[string]string{
		"janus.jcfg": fmt.Sprintf(janusConfig, j.dir, parts[0],
			janusParts("audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "textroom",
				"videocall", "videoroom", "voicemail"),
			janusParts("mqtt", "nanomsg", "pfunix", "rabbitmq", "websockets")),
		"janus.plugin.streaming.jcfg": fmt.Sprintf(
			`general: { admin_key = "key" rtp_port_range = "%d-%d" }`, first, first+299),
		"janus.transport.http.jcfg": fmt.Sprintf(`general: { json = "compact" base_path = "/janus" http = true `+
			`port = %d ip = "127.0.0.1" https = false } admin: { admin_http = false admin_https = false }`, j.port),
	} {
		if err := os.WriteFile(filepath.Join(j.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j.start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("janus said:\n%.5000s", j.out.String())
		}
	})
	return j
}

var janusCount atomic.Int32

func freeTCP(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (j *janusServer) start() {
	j.t.Helper()
	j.program = run(j.t, "janus", "--disable-colors", "-F", j.dir, "-C", filepath.Join(j.dir, "janus.jcfg"))
	await(j.t, "Janus listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", j.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill ends Janus without a word.
func (j *janusServer) kill() {
	_ = j.Process.Kill()
	<-j.done
}

func (j *janusServer) url() string { return fmt.Sprintf("http://127.0.0.1:%d/janus", j.port) }

func (j *janusServer) rule() Rule {
	return Rule{From: "all", Janus: j.url(), AdminKey: "key", APISecret: "core", Secret: "s42"}
}

// behind is the URL of a proxy before Janus. made is called when Janus made a mountpoint, before the
// answer is passed on.
func (j *janusServer) behind(made func(r *http.Request)) (url string) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		response, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d%s", j.port, r.URL.Path), "application/json",
			bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err == nil && bytes.Contains(body, []byte(`"request":"create"`)) {
			made(r)
		}
		_, _ = w.Write(answer) // the client may be gone
	}))
	j.t.Cleanup(proxy.Close)
	return proxy.URL + "/janus"
}

// A client speaks Janus' API for a test, without the code that is tested.
type client struct {
	t       *testing.T
	url     string
	session uint64
	handle  uint64
}

type reply struct {
	Janus string
	Data  struct{ ID uint64 }
	JSEP  *webrtc.SessionDescription
	Error struct{ Reason string }

	Plugindata struct {
		Data struct {
			Error string
			List  []struct {
				ID                    uint64
				Description, Metadata string
			}
		}
	}
}

func (j *janusServer) client() *client {
	c := &client{t: j.t, url: j.url()}
	c.session = c.post("", map[string]any{"janus": "create"}).Data.ID
	c.handle = c.post(c.path(false), map[string]any{"janus": "attach", "plugin": "janus.plugin.streaming"}).Data.ID
	return c
}

func (c *client) path(handle bool) string {
	if handle {
		return fmt.Sprintf("/%d/%d", c.session, c.handle)
	}
	return fmt.Sprintf("/%d", c.session)
}

func (c *client) post(path string, body map[string]any) (r reply) {
	c.t.Helper()
	body["transaction"], body["apisecret"] = "t", "core"
	b, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := http.Post(c.url+path, "application/json", bytes.NewReader(b))
	if err != nil {
		c.t.Fatal(err)
	}
	return c.read(response)
}

func (c *client) read(response *http.Response) (r reply) {
	c.t.Helper()
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || r.Janus == "error" || r.Plugindata.Data.Error != "" {
		c.t.Fatalf("janus answers %s (%v)", b, err)
	}
	return r
}

func (c *client) message(body, jsep any) reply {
	c.t.Helper()
	request := map[string]any{"janus": "message", "body": body}
	if jsep != nil {
		request["jsep"] = jsep
	}
	return c.post(c.path(true), request)
}

// mountpoints are the ids of those that there are.
func (c *client) mountpoints() (ids []uint64) {
	c.t.Helper()
	for _, m := range c.message(map[string]any{"request": "list", "admin_key": "key"}, nil).Plugindata.Data.List {
		ids = append(ids, m.ID)
	}
	return ids
}

// A viewer watches a mountpoint.
type viewer struct {
	connection *webrtc.PeerConnection
	packets    atomic.Int64
	ssrc       atomic.Uint32
}

// watch begins to view. It goes on until the test is over.
func (j *janusServer) watch(id uint64) *viewer {
	t, c := j.t, j.client()
	t.Helper()
	c.message(map[string]any{"request": "watch", "id": id}, nil)
	var offer *webrtc.SessionDescription
	for offer == nil {
		response, err := http.Get(c.url + c.path(false) + "?maxev=1&apisecret=core")
		if err != nil {
			t.Fatal(err)
		}
		offer = c.read(response).JSEP
	}
	v := &viewer{}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings))
	var err error
	if v.connection, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.connection.GracefulClose() })
	v.connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		v.ssrc.Store(uint32(track.SSRC()))
		for {
			if _, _, err := track.ReadRTP(); err != nil {
				return
			}
			v.packets.Add(1)
		}
	})
	c.message(map[string]any{"request": "start"}, answer(t, v.connection, *offer))
	go j.keepAlive(t.Context(), c)
	return v
}

// keepAlive reads the session's events, which tells Janus that somebody is there.
func (j *janusServer) keepAlive(ctx context.Context, c *client) {
	for ctx.Err() == nil {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.url+c.path(false)+"?maxev=1&apisecret=core", nil)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return // Janus is gone, or the test is over
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return
		}
	}
}

func answer(t *testing.T, c *webrtc.PeerConnection, offer webrtc.SessionDescription) *webrtc.SessionDescription {
	t.Helper()
	if err := c.SetRemoteDescription(offer); err != nil {
		t.Fatal(err)
	}
	a, err := c.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c)
	if err := c.SetLocalDescription(a); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gathered:
	case <-time.After(patience):
		t.Fatal("no addresses were found")
	}
	return c.LocalDescription()
}

// ask asks for a key frame, as a browser that has lost something.
func (v *viewer) ask(t *testing.T) {
	t.Helper()
	if err := v.connection.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: v.ssrc.Load()}}); err != nil {
		t.Fatal(err)
	}
}

func newHTTP() *http.Client { return &http.Client{Timeout: patience} }

// listenTCP accepts connections and says nothing.
func listenTCP(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String() // the kernel accepts
}

//go:build long

// A real LiveKit, which takes 7 minutes to build the first time.

package whip

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/forward"
)

// A liveKit is a server that can be killed and started again.
type liveKit struct {
	t             *testing.T
	path, config  string
	port          int
	key, password string
	out           bytes.Buffer
	process       *exec.Cmd
}

func newLiveKit(t *testing.T) *liveKit {
	t.Helper()
	build := exec.Command("../../../scripts/livekit")
	build.Stderr = os.Stderr
	path, err := build.Output()
	if err != nil {
		t.Fatalf("scripts/livekit: %v", err)
	}
	l := &liveKit{
		t: t, path: strings.TrimSpace(string(path)), config: filepath.Join(t.TempDir(), "livekit.yaml"),
		port: freePort(t), key: "devkey", password: strings.Repeat("secret", 6),
	}
	text := fmt.Sprintf("port: %d\nbind_addresses: [127.0.0.1]\nkeys: { %s: %s }\n"+
		"rtc: { tcp_port: %d, port_range_start: 27900, port_range_end: 27999, use_external_ip: false }\n",
		l.port, l.key, l.password, freePort(t))
	if err := os.WriteFile(l.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.start()
	t.Cleanup(func() {
		l.kill()
		if t.Failed() {
			t.Logf("LiveKit said:\n%.5000s", l.out.String())
		}
	})
	return l
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (l *liveKit) start() {
	l.t.Helper()
	l.process = exec.Command(l.path, "--config", l.config)
	l.process.Stdout, l.process.Stderr = &l.out, &l.out
	if err := l.process.Start(); err != nil {
		l.t.Fatal(err)
	}
	await(l.t, "LiveKit listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (l *liveKit) kill() {
	_ = l.process.Process.Kill()
	_ = l.process.Wait()
}

// A participant is one as LiveKit lists it.
type participant struct {
	Identity string
	Tracks   []struct {
		MimeType string `json:"mime_type"`
	}
}

// participants are those of a room.
func (l *liveKit) participants(room string) []participant {
	l.t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(fmt.Appendf(nil,
		`{"iss":%q,"sub":"admin","exp":%d,"video":{"roomAdmin":true,"room":%q}}`,
		l.key, time.Now().Add(time.Minute).Unix(), room))
	mac := hmac.New(sha256.New, []byte(l.password))
	mac.Write([]byte(token))
	r, err := http.NewRequest(http.MethodPost,
		fmt.Sprintf("http://127.0.0.1:%d/twirp/livekit.RoomService/ListParticipants", l.port),
		strings.NewReader(fmt.Sprintf(`{"room":%q}`, room)))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token+"."+encode(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Participants []participant }
	if response.StatusCode == http.StatusOK {
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			l.t.Fatal(err)
		}
	}
	return answer.Participants // none: there is no room yet
}

// isLive says whether the camera is the room's only participant, with a video.
func (l *liveKit) isLive() bool {
	time.Sleep(50 * time.Millisecond) // LiveKit logs each request
	p := l.participants("zoo")
	return len(p) == 1 && p[0].Identity == "cam1" && len(p[0].Tracks) == 1 &&
		strings.EqualFold(p[0].Tracks[0].MimeType, "video/vp8")
}

func TestLiveKitShowsTheStreamAlsoAfterItWasKilled(t *testing.T) {
	l := newLiveKit(t)
	f, s, requested := start(t, forward.Rule{
		From: "all", WHIP: fmt.Sprintf("http://127.0.0.1:%d/whip/v1", l.port),
		LiveKit: &forward.LiveKit{Key: l.key, Secret: l.password},
	})
	playOn(t, s)
	began := time.Now()
	await(t, "LiveKit has the stream", l.isLive)
	t.Logf("FIGURE WHIP to LiveKit: the stream is in the room after %.0f ms", 1e3*time.Since(began).Seconds())
	await(t, "LiveKit reports", func() bool { return f.States()[0].Reports > 0 })
	if requested.Load() == 0 {
		t.Error("no key frame was requested")
	}

	l.kill()
	killed := time.Now()
	await(t, "the end is noticed", func() bool { return f.States()[0].State == forward.StateFailing })
	t.Logf("FIGURE WHIP: killed LiveKit noticed after %.1f s", time.Since(killed).Seconds())
	before := requested.Load()
	l.start()
	again := time.Now()
	await(t, "LiveKit has the stream again", l.isLive)
	t.Logf("FIGURE WHIP: LiveKit started again has the stream after %.1f s", time.Since(again).Seconds())
	await(t, "a key frame for the beginning", func() bool { return requested.Load() > before })

	s.Close()
	await(t, "the camera leaves the room", func() bool {
		return len(l.participants("zoo")) == 0 && len(f.States()) == 0
	})
}

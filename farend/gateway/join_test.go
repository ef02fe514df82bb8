// Two video servers of somebody else (docs/video-server-example.py) join a gateway; one of them is killed.

package gateway

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/videoserver"
)

// joinExamples starts two and waits until the store has both. It gives their processes by name.
func joinExamples(t *testing.T, kept *store.Store) map[string]*exec.Cmd {
	t.Helper()
	need.Tools(t, "python3")
	tokens := map[string]string{"v1": "token of the first", "v2": "token of the second"}
	joins, err := videoserver.NewJoins(kept, tokens, time.Now, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(joins)
	t.Cleanup(web.Close)
	servers := map[string]*exec.Cmd{}
	for name, token := range tokens {
		cmd := exec.CommandContext(t.Context(), "python3", "../../docs/video-server-example.py", "--name", name,
			"--token", token, "--gateway", web.URL, "--port", "0", "127.0.0.1")
		cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Wait() }) // killed by then
		servers[name] = cmd
	}
	eventually(t, "both have joined", func() bool {
		list, err := kept.Servers(t.Context(), time.Time{})
		return err == nil && len(list) == len(tokens)
	})
	return servers
}

// eventually waits for something that others bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute: " + what)
		}
	}
}

func TestStreamGoesOnAtAnotherVideoServerWhenItsOwnIsKilled(t *testing.T) {
	d := newDesk(t, Config{Now: time.Now})
	servers := joinExamples(t, d.store.Store)
	cluster := videoserver.NewCluster(videoserver.ClusterConfig{Store: d.store})
	t.Cleanup(cluster.Close)
	d.Gateway = New(Config{Store: d.store, Servers: cluster})
	id := d.newID()
	stream := func() string { // until it is captured; the server's name
		answer := d.want(startBody("k", id), 0)
		port, _ := answer["rtp_port"].(float64)
		to, err := net.Dial("udp", net.JoinHostPort(fmt.Sprint(answer["url"]), strconv.Itoa(int(port))))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = to.Close() }()
		eventually(t, "the stream is captured", func() bool {
			_, sent := to.Write(make([]byte, 100))
			_, said := d.post(about("validate_stream", id))
			return sent == nil && said["validation_code"] == 0.0
		})
		return d.active()[0].Server
	}
	first := stream()
	if err := servers[first].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = servers[first].Wait()
	killed := time.Now()
	eventually(t, "the source hears that it must start anew", func() bool {
		_, said := d.post(about("validate_stream", id))
		return said["error_code"] == 4092.0
	})
	second := stream()
	t.Logf("FIGURE a source whose video server was killed streams elsewhere after %v",
		time.Since(killed).Round(10*time.Millisecond))
	ended := d.lastEnded()
	if second == first || ended.Because != serverDied || ended.Server != first {
		t.Errorf("first at %s, then at %s; the first ended because %q", first, second, ended.Because)
	}
	if list, err := json.Marshal(d.active()); len(d.active()) != 1 {
		t.Errorf("%s, %v: want one stream", list, err)
	}
}

package single

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// desk is a gateway with a server and a clock that the test moves.
type desk struct {
	*Gateway
	t      *testing.T
	server *server
	clock  time.Time
}

func newDesk(t *testing.T, c Config) *desk {
	t.Helper()
	d := &desk{t: t, server: &server{}, clock: time.Unix(1_800_000_000, 0)}
	if c.Server == nil {
		c.Server = d.server
	}
	c.Now = func() time.Time { return d.clock }
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	d.Gateway = g
	return d
}

// post gives status and answer.
func (d *desk) post(body string) (int, map[string]any) {
	d.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://desk.example:8080/", strings.NewReader(body))
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		d.t.Fatalf("%s: answer %q: %v", body, w.Body, err)
	}
	return w.Code, answer
}

// want posts body and checks error_code, or good for none.
func (d *desk) want(body string, code int) map[string]any {
	d.t.Helper()
	status, answer := d.post(body)
	got, _ := answer["error_code"].(float64)
	wantStatus := 200
	if code != 0 {
		wantStatus = code / 10
	}
	if int(got) != code || status != wantStatus {
		d.t.Errorf("%.80s = %d %v, want error_code %d", body, status, answer, code)
	}
	return answer
}

func (d *desk) newID() string {
	d.t.Helper()
	id, _ := d.want(`{"action":"new_utilization_id","key":"k"}`, 0)["utilization_id"].(string)
	if len(id) < 20 {
		d.t.Errorf("utilization_id %q can be guessed", id)
	}
	return id
}

func TestGatewayGrantsValidatesAndStops(t *testing.T) {
	d := newDesk(t, Config{Key: "k", KeepAlive: 30 * time.Second})
	id := d.newID()
	start := `{"action":"start_stream","key":"k","utilization_id":%q,"width":640,"height":"480","codec":"VP8"}`
	answer := d.want(fmt.Sprintf(start, id), 0)
	if answer["url"] != "desk.example" || answer["rtp_port"] != 5004.0 || answer["rtcp_port"] != 5005.0 ||
		answer["keepalive_s"] != 30.0 {
		t.Errorf("start_stream = %v", answer)
	}
	validate := fmt.Sprintf(`{"action":"validate_stream","utilization_id":%q}`, id)
	for _, code := range []int{2, 1, 0} {
		d.server.code = code
		got := d.want(validate, 0)
		if got["validation_code"] != float64(code) || got["validation_txt"] != "stream captured" {
			t.Errorf("validate_stream = %v, want code %d and the server's words", got, code)
		}
	}
	d.server.err = fmt.Errorf("receiver: silent: %w", os.ErrDeadlineExceeded)
	d.want(validate, 4081)
	d.server.err = errDisk
	d.want(validate, 5002)
	d.server.err = net.ErrClosed
	d.want(validate, 5031)
	stop := fmt.Sprintf(`{"action":"stop_stream","utilization_id":%q}`, id)
	if got := d.want(stop, 0)["ok"]; got != "stream stopped successfully" {
		t.Errorf("stop_stream = %v", got)
	}
	d.want(stop, 4092)
	d.want(validate, 4092)
	if d.server.begins != 1 || d.server.ended != 1 {
		t.Errorf("the server began %d and ended %d times, want 1 and 1", d.server.begins, d.server.ended)
	}
}

func TestGatewayRefusesWithTheCodeOfTheTable(t *testing.T) {
	d := newDesk(t, Config{Key: "k"})
	id := d.newID()
	start := fmt.Sprintf(`"action":"start_stream","utilization_id":%q`, id)
	for _, c := range []struct {
		name, body string
		code       int
	}{
		{"nothing", ``, 4001}, {"no JSON", `<html>`, 4001}, {"a list", `[]`, 4001}, {"no action", `{}`, 4001},
		{"an action that is no text", `{"action":1}`, 4001},
		{"a flood", `{"action":"` + strings.Repeat("x", requestMax) + `"}`, 4001},
		{"an unknown action", `{"action":"get_data"}`, 5011},
		{"no key", `{"action":"new_utilization_id"}`, 4002}, {"no key on start", `{` + start + `}`, 4002},
		{"a key that is no text", `{"action":"new_utilization_id","key":{}}`, 4002},
		{"a wrong key", `{"action":"new_utilization_id","key":"x"}`, 4011},
		{"a wrong key on start", `{` + start + `,"key":"kk","width":1,"height":1}`, 4011},
		{"no id", `{"action":"start_stream","key":"k","width":640,"height":480}`, 4003},
		{"no id on validate", `{"action":"validate_stream"}`, 4003},
		{"no id on stop", `{"action":"stop_stream","utilization_id":null}`, 4003},
		{"an id that is a list", `{"action":"stop_stream","utilization_id":[]}`, 4003},
		{"an unknown id", `{"action":"start_stream","key":"k","utilization_id":7,"width":640,"height":480}`, 4012},
		{"an unknown id on validate", `{"action":"validate_stream","utilization_id":"x"}`, 4012},
		{"an unknown id on stop", `{"action":"stop_stream","utilization_id":"x"}`, 4012},
		{"no size", `{` + start + `,"key":"k"}`, 4004},
		{"half a size", `{` + start + `,"key":"k","width":640}`, 4004},
		{"a size of nothing", `{` + start + `,"key":"k","width":0,"height":480}`, 4004},
		{"a size too large", `{` + start + `,"key":"k","width":16384,"height":480}`, 4004},
		{"a stream that does not run", fmt.Sprintf(`{"action":"validate_stream","utilization_id":%q}`, id), 4092},
		{"a start", `{` + start + `,"key":"k","width":640,"height":480}`, 0},
		{"a start while it runs", `{` + start + `,"key":"k","width":640,"height":480}`, 4091},
	} {
		t.Run(c.name, func(t *testing.T) { d.t = t; d.want(c.body, c.code) })
	}
	d.t = t
	other := d.newID()
	d.want(fmt.Sprintf(`{"action":"start_stream","key":"k","utilization_id":%q,"width":1,"height":1}`, other), 4091)
	d.want(fmt.Sprintf(`{"action":"stop_stream","utilization_id":%q}`, other), 4092)

	unset := newDesk(t, Config{})
	unset.want(`{"action":"new_utilization_id","key":"k"}`, 4051)
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "4001") {
		t.Errorf("GET = %d %s, want 4001", w.Code, w.Body)
	}
}

func TestGatewayReportsItsServersFaults(t *testing.T) {
	for err, code := range map[error]int{net.ErrClosed: 5031, errors.New("another stream is active"): 5001} {
		d := newDesk(t, Config{Key: "k"})
		d.server.begin = err
		body := fmt.Sprintf(`{"action":"start_stream","key":"k","utilization_id":%q,"width":640,"height":480}`,
			d.newID())
		d.want(body, code)
		d.server.begin = nil
		d.want(body, 0)
	}
}

func TestGatewayFreesTheServerWhenTheLeaseRunsOut(t *testing.T) {
	d := newDesk(t, Config{Key: "k", Host: "video.example"})
	d.server.err = os.ErrDeadlineExceeded
	a, b := d.newID(), d.newID()
	start := `{"action":"start_stream","key":"k","utilization_id":%q,"width":640,"height":480}`
	if got := d.want(fmt.Sprintf(start, a), 0); got["url"] != "video.example" || got["keepalive_s"] != nil {
		t.Errorf("start_stream = %v", got)
	}
	d.clock = d.clock.Add(3 * time.Minute)
	d.want(fmt.Sprintf(`{"action":"validate_stream","utilization_id":%q}`, a), 4081) // a sign of life nevertheless
	d.clock = d.clock.Add(3 * time.Minute)
	d.want(fmt.Sprintf(start, b), 4091)
	if s := d.State(); !s.Active || s.Utilization != wire.TextID(a) {
		t.Errorf("State = %+v", s)
	}
	d.clock = d.clock.Add(2 * time.Minute)
	if s := d.State(); s.Active || d.server.ended != 1 {
		t.Errorf("State = %+v after the lease, ended %d times", s, d.server.ended)
	}
	d.want(fmt.Sprintf(start, b), 0)
}

func TestGatewayKnowsItsIDsAfterARestartAndWhoseTheyAre(t *testing.T) {
	dir := t.TempDir()
	id := newDesk(t, Config{Key: "k", StateDir: dir}).newID()
	start := `{"action":"start_stream","key":%q,"utilization_id":%q,"width":640,"height":480}`
	newDesk(t, Config{Key: "k", StateDir: dir}).want(fmt.Sprintf(start, "k", id), 0)
	newDesk(t, Config{Key: "new", StateDir: dir}).want(fmt.Sprintf(start, "new", id), 4013)
	path := filepath.Join(dir, "utilization_ids.json")
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), `"k"`) {
		t.Errorf("%s, %v: holds the key itself", b, err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{StateDir: dir}); err == nil {
		t.Error("a broken file of ids was taken for none")
	}
	d := newDesk(t, Config{Key: "k", StateDir: t.TempDir()})
	if err := os.RemoveAll(filepath.Dir(d.ids.path)); err != nil {
		t.Fatal(err)
	}
	d.want(`{"action":"new_utilization_id","key":"k"}`, 5004)
}

// What tells the source from others at the receiver: the SSRC that it announced, in any form that
// JSON has for it, and the address from which it asks, also when that changes.
func TestGatewayPassesOnWhoTheSourceIs(t *testing.T) {
	for said, want := range map[string]uint32{
		`305419896`: 305419896, `"305419896"`: 305419896, `305419896.0`: 305419896, `4294967295`: 4294967295,
		`4294967296`: 0, `-1`: 0, `1.5`: 0, `"x"`: 0, `null`: 0, `[5]`: 0, `{}`: 0, `1e400`: 0,
	} {
		d := newDesk(t, Config{Key: "k"})
		id := d.newID()
		d.want(fmt.Sprintf(`{"action":"start_stream","key":"k","utilization_id":%q,"width":640,"height":480,"ssrc":%s}`,
			id, said), 0)
		if d.server.ssrc != want || d.server.asker != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("ssrc %s: Begin got %d from %v, want %d from 192.0.2.1", said, d.server.ssrc, d.server.asker, want)
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(
			fmt.Sprintf(`{"action":"validate_stream","utilization_id":%q}`, id)))
		r.RemoteAddr = "[::ffff:198.51.100.7]:999"
		d.ServeHTTP(httptest.NewRecorder(), r)
		if d.server.asker != netip.MustParseAddr("198.51.100.7") {
			t.Errorf("Captured got %v, want the address of now", d.server.asker)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"action":"start_stream","key":"k","utilization_id":1,"width":"640","height":480}`))
	f.Add([]byte(`{"action":"new_utilization_id","key":"k"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDesk(t, Config{Key: "k"})
		status, answer := d.post(string(b))
		code, refused := answer["error_code"].(float64)
		if refused && int(code)/10 != status || !refused && status != 200 {
			t.Errorf("%q = %d %v", b, status, answer)
		}
	})
}

package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestGatewayGrantsValidatesAndStops(t *testing.T) {
	d := newDesk(t, Config{KeepAlive: 30 * time.Second})
	d.server.place = stream.Place{RTPPort: 6000, RTCPPort: 6000, RTX: true, Transport: 5, CaptureTime: 4}
	id := d.newID()
	answer := d.want(startBody("k", id), 0)
	if answer["url"] != "desk.example" || answer["rtp_port"] != 6000.0 || answer["rtcp_port"] != 6000.0 ||
		answer["keepalive_s"] != 30.0 || answer["rtx"] != true || answer["twcc"] != 5.0 || answer["ntp-64"] != 4.0 {
		t.Errorf("start_stream = %v", answer)
	}
	if g := d.server.grant; g.Customer != d.key.ID || g.Source != wire.TextID(id) ||
		g.Width != 640 || g.Height != 480 || g.Lease != 150*time.Second || len(g.ID) < 20 {
		t.Errorf("the server was granted %+v", g)
	}
	validate := about("validate_stream", id)
	for _, code := range []int{2, 1, 0} {
		d.server.verdict.Code = code
		got := d.want(validate, 0)
		if got["validation_code"] != float64(code) || got["validation_txt"] != "stream captured" {
			t.Errorf("validate_stream = %v, want code %d and the server's words", got, code)
		}
	}
	stop := about("stop_stream", id)
	if got := d.want(stop, 0)["ok"]; got != "stream stopped successfully" {
		t.Errorf("stop_stream = %v", got)
	}
	d.want(stop, 4092)
	d.want(validate, 4092)
	if d.server.begins != 1 || d.server.ended != 1 || d.server.count() != 0 {
		t.Errorf("the server began %d and ended %d times, want 1 and 1", d.server.begins, d.server.ended)
	}
	if one := d.lastEnded(); one.Place != d.server.place || one.Server != "a" ||
		one.Because != "stopped by its source" {
		t.Errorf("the store has %+v", one)
	}
}

// Everything that a stranger, a source, an analyser or an administrator can post, and the code of the
// table that it gets. 0 is a good answer. ID stands for an id of the key k, OTHER for one of another key.
func TestEveryRequestGetsTheCodeOfTheTable(t *testing.T) {
	d := newDesk(t, Config{AdminUser: "root", AdminPassword: "secret"})
	d.addKey("other", store.Customer{Name: "other", Enabled: true})
	d.addKey("disabled", store.Customer{Name: "disabled"})
	d.addKey("ended", store.Customer{Name: "ended", Enabled: true, ValidUntil: d.now().Add(-time.Second)})
	id, other := d.newID(), d.newIDOf("other")
	const (
		size  = `,"width":640,"height":480`
		start = `{"action":"start_stream","utilization_id":"ID"`
		put   = `{"action":"put_data","key":"k","utilization_id":"ID"`
		admin = `{"action":"admin","user":"root","password":"secret"`
	)
	got := map[int]bool{}
	for _, c := range []struct {
		name, body string
		code       int
	}{
		{"nothing", ``, 4001}, {"no JSON", `<html>`, 4001}, {"half an object", `{"action":`, 4001},
		{"a list", `[]`, 4001}, {"a text", `"start_stream"`, 4001}, {"null", `null`, 4001}, {"no action", `{}`, 4001},
		{"two objects", `{"action":"stop_stream"}{}`, 4001},
		{"an action that is a number", `{"action":1}`, 4001}, {"an action that is null", `{"action":null}`, 4001},
		{"an action of nothing", `{"action":""}`, 4001},
		{"a flood", `{"action":"` + strings.Repeat("x", requestMax) + `"}`, 4001},
		{"a nest", `{"action":` + strings.Repeat("[", 10001), 4001},
		{"an unknown action", `{"action":"reboot"}`, 5011}, {"an action in capitals", `{"action":"STOP_STREAM"}`, 5011},

		{"new: no key", `{"action":"new_utilization_id"}`, 4002},
		{"new: a key of nothing", `{"action":"new_utilization_id","key":""}`, 4002},
		{"new: a key that is an object", `{"action":"new_utilization_id","key":{}}`, 4002},
		{"new: a key that is a number", `{"action":"new_utilization_id","key":7}`, 4002},
		{"new: a wrong key", `{"action":"new_utilization_id","key":"x"}`, 4011},
		{"new: a disabled key", `{"action":"new_utilization_id","key":"disabled"}`, 4011},
		{"new: a key that has ended", `{"action":"new_utilization_id","key":"ended"}`, 4011},
		{"new: unknown fields and a board of nonsense",
			`{"action":"new_utilization_id","key":"k","x":[],"board":7}`, 0},

		{"start: no key", start + size + `}`, 4002},
		{"start: a wrong key", start + size + `,"key":"kk"}`, 4011},
		{"start: a disabled key", start + size + `,"key":"disabled"}`, 4011},
		{"start: no id", `{"action":"start_stream","key":"k"` + size + `}`, 4003},
		{"start: an id of nothing", `{"action":"start_stream","key":"k","utilization_id":""` + size + `}`, 4003},
		{"start: an id that is true", `{"action":"start_stream","key":"k","utilization_id":true` + size + `}`, 4003},
		{"start: an endless id", `{"action":"start_stream","key":"k","utilization_id":"` + strings.Repeat("x", 600) +
			`"` + size + `}`, 4003},
		{"start: an unknown id", `{"action":"start_stream","key":"k","utilization_id":7` + size + `}`, 4012},
		{"start: an id that no text can be",
			`{"action":"start_stream","key":"k","utilization_id":"\u0000"` + size + `}`, 4012},
		{"start: another key's id", `{"action":"start_stream","key":"k","utilization_id":"OTHER"` + size + `}`, 4013},
		{"start: no size", start + `,"key":"k"}`, 4004},
		{"start: half a size", start + `,"key":"k","width":640}`, 4004},
		{"start: a width of 0", start + `,"key":"k","width":0,"height":480}`, 4004},
		{"start: a width below 0", start + `,"key":"k","width":-640,"height":480}`, 4004},
		{"start: a width too large", start + `,"key":"k","width":16384,"height":480}`, 4004},
		{"start: half a pixel", start + `,"key":"k","width":640.5,"height":480}`, 4004},
		{"start: a width that is a word", start + `,"key":"k","width":"wide","height":480}`, 4004},
		{"start: a width that is a list", start + `,"key":"k","width":[640],"height":480}`, 4004},
		{"start: H.264", start + size + `,"key":"k","codec":"H264"}`, 4151},
		{"validate: a stream that does not run", `{"action":"validate_stream","utilization_id":"ID"}`, 4092},
		{"stop: a stream that does not run", `{"action":"stop_stream","utilization_id":"ID"}`, 4092},
		{"start: numbers as text and with a fraction of 0, a codec in small letters, additions of nonsense",
			start + `,"key":"k","width":"640","height":480.0,"codec":"vp8","ssrc":{},
			"srtp":7,"offer":"x","board":[]}`, 0},
		{"start: while it runs", start + size + `,"key":"k"}`, 4091},

		{"validate: no id", `{"action":"validate_stream"}`, 4003},
		{"validate: an id of null", `{"action":"validate_stream","utilization_id":null}`, 4003},
		{"validate: an unknown id", `{"action":"validate_stream","utilization_id":"x"}`, 4012},
		{"validate: a number that is not the text", `{"action":"validate_stream","utilization_id":5}`, 4012},
		{"validate: another's stream", `{"action":"validate_stream","utilization_id":"OTHER"}`, 4092},
		{"validate: its own", `{"action":"validate_stream","utilization_id":"ID"}`, 0},

		{"get_data: no key", `{"action":"get_data","utilization_id":"ID"}`, 4002},
		{"get_data: a wrong key", `{"action":"get_data","utilization_id":"ID","key":"x"}`, 4011},
		{"get_data: no id", `{"action":"get_data","key":"k"}`, 4003},
		{"get_data: an unknown id", `{"action":"get_data","key":"k","utilization_id":"x"}`, 4012},
		{"get_data: another key's", `{"action":"get_data","key":"other","utilization_id":"ID"}`, 4013},
		{"get_data: a key without analyses", `{"action":"get_data","key":"other","utilization_id":"OTHER"}`, 4093},
		{"get_data: nobody analyses it", `{"action":"get_data","key":"k","utilization_id":"ID"}`, 4093},
		{"put_data: no key", `{"action":"put_data","utilization_id":"ID","data":[]}`, 4002},
		{"put_data: another key's", `{"action":"put_data","key":"other","utilization_id":"ID","data":[]}`, 4013},
		{"put_data: no data", put + `}`, 4005}, {"put_data: data of null", put + `,"data":null}`, 4005},
		{"put_data: a list", put + `,"data":[{"face":[1,2,3,4]}],"delay_ms":"40"}`, 0},
		{"get_data", `{"action":"get_data","key":"k","utilization_id":"ID"}`, 0},
		{"put_data: a number and a delay of nonsense", put + `,"data":0,"delay_ms":-1}`, 0},

		{"stop: no id", `{"action":"stop_stream"}`, 4003},
		{"stop: an id that is a list", `{"action":"stop_stream","utilization_id":[]}`, 4003},
		{"stop: an unknown id", `{"action":"stop_stream","utilization_id":"x"}`, 4012},
		{"stop: another's", `{"action":"stop_stream","utilization_id":"OTHER"}`, 4092},
		{"stop: its own", `{"action":"stop_stream","utilization_id":"ID"}`, 0},
		{"stop: again", `{"action":"stop_stream","utilization_id":"ID"}`, 4092},

		{"admin: nobody", `{"action":"admin","command":"list_keys"}`, 4006},
		{"admin: no password", `{"action":"admin","user":"root","command":"list_keys"}`, 4006},
		{"admin: a password that is a number", `{"action":"admin","user":"root","password":7}`, 4006},
		{"admin: a wrong password", `{"action":"admin","user":"root","password":"x","command":"list_keys"}`, 4053},
		{"admin: a wrong user", `{"action":"admin","user":"x","password":"secret","command":"list_keys"}`, 4053},
		{"admin: no command", admin + `}`, 4006}, {"admin: an unknown command", admin + `,"command":"reboot"}`, 4006},
		{"admin: list keys", admin + `,"command":"list_keys"}`, 0},
		{"admin: list streams", admin + `,"command":"list_streams"}`, 0},
		{"admin: add a key without a name", admin + `,"command":"add_key"}`, 4006},
		{"admin: a key like another", admin + `,"command":"add_key","name":"k"}`, 4006},
		{"admin: a short key", admin + `,"command":"add_key","name":"s","new_key":"short"}`, 4006},
		{"admin: a limit of nonsense", admin + `,"command":"add_key","name":"s","cameras_max":-1}`, 4006},
		{"admin: enabled of nonsense", admin + `,"command":"add_key","name":"s","enabled":"no"}`, 4006},
		{"admin: an end of nonsense", admin + `,"command":"add_key","name":"s","valid_until":"tomorrow"}`, 4006},
		{"admin: change no key", admin + `,"command":"change_key"}`, 4006},
		{"admin: change an unknown key", admin + `,"command":"change_key","id":99}`, 4006},
		{"admin: remove an unknown key", admin + `,"command":"remove_key","id":"1"}`, 4006},
		{"admin: stop nothing", admin + `,"command":"stop_stream"}`, 4006},
		{"admin: stop what does not run", admin + `,"command":"stop_stream","utilization_id":"ID"}`, 4092},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			d.advance(keyGuessInterval * 10) // who guesses so slowly is not slowed
			d.want(strings.NewReplacer("OTHER", other, "ID", id).Replace(c.body), c.code)
		})
		got[c.code] = true
	}
	d.t = t
	for code, cause := range causes() {
		t.Run(fmt.Sprint(code), func(t *testing.T) { cause(t, code) })
		got[code] = true
	}
	for _, code := range wire.Codes() {
		if !got[code] {
			t.Errorf("no request causes %d", code)
		}
	}
	if n := len(d.active()); n != 0 || d.server.count() != 0 {
		t.Errorf("%d streams and %d places are left", n, d.server.count())
	}
}

// causes bring about the codes that depend on more than the request.
func causes() map[int]func(t *testing.T, code int) {
	running := func(t *testing.T) (*desk, string) {
		d := newDesk(t, Config{})
		id := d.newID()
		d.want(startBody("k", id), 0)
		return d, id
	}
	return map[int]func(*testing.T, int){
		4051: func(t *testing.T, code int) {
			newEmptyDesk(t, Config{}).want(`{"action":"new_utilization_id","key":"k"}`, code)
		},
		4052: func(t *testing.T, code int) {
			d, id := running(t)
			d.disable(id)
			d.want(about("validate_stream", id), code)
			d.want(startBody("k", id), code)
			d.want(about("stop_stream", id), 4092)
		},
		4081: func(t *testing.T, code int) {
			d, id := running(t)
			d.server.err = fmt.Errorf("receiver: silent: %w", os.ErrDeadlineExceeded)
			d.want(about("validate_stream", id), code)
		},
		4291: func(t *testing.T, code int) {
			d := newDesk(t, Config{})
			for range idsOfAddressBurst {
				d.newID()
			}
			_, header, answer := d.send(newPost(`{"action":"new_utilization_id","key":"k"}`))
			if answer["error_code"] != float64(code) || header.Get("Retry-After") == "" {
				t.Errorf("%v, Retry-After %q", answer, header.Get("Retry-After"))
			}
		},
		5001: func(t *testing.T, code int) {
			for _, err := range []error{errDisk, stream.ErrFull, stream.ErrAmbiguous} {
				d := newDesk(t, Config{})
				d.server.begin = err
				id := d.newID()
				d.want(startBody("k", id), code)
				d.server.begin = nil
				d.want(startBody("k", id), 0)
			}
		},
		5002: func(t *testing.T, code int) {
			d, id := running(t)
			d.server.err = errDisk
			d.want(about("validate_stream", id), code)
		},
		5003: func(t *testing.T, code int) {
			d := newDesk(t, Config{})
			id := d.newID()
			d.store.fail(errDisk, "Analysis")
			d.want(fmt.Sprintf(`{"action":"get_data","key":"k","utilization_id":%q}`, id), code)
		},
		5004: func(t *testing.T, code int) {
			for _, method := range []string{"AddSource", "BeginStream", "SetPlace", "TouchStream", "EndStream"} {
				d := newDesk(t, Config{})
				id := d.newID()
				d.store.fail(errDisk, method)
				switch method {
				case "AddSource":
					d.want(`{"action":"new_utilization_id","key":"k"}`, code)
				case "BeginStream", "SetPlace":
					d.want(startBody("k", id), code)
				case "TouchStream":
					d.want(startBody("k", id), 0)
					d.want(about("validate_stream", id), code)
				case "EndStream":
					d.want(startBody("k", id), 0)
					d.want(about("stop_stream", id), code)
				}
				d.store.fail(nil, "")
				d.advance(time.Hour)
				d.tick(t.Context())
				if n := len(d.active()); n != 0 || d.server.count() != 0 {
					t.Errorf("%s: %d streams and %d places are left", method, n, d.server.count())
				}
			}
		},
		5031: func(t *testing.T, code int) {
			d, id := running(t)
			d.server.err = stream.ErrUnreachable
			d.want(about("validate_stream", id), code)
			d.servers.err = errors.New("it has no URL for calls")
			d.want(about("validate_stream", id), code)
			d.servers.err = stream.ErrUnreachable
			d.want(startBody("k", d.newID()), code)
		},
	}
}

func TestOtherMethodsThanPOSTGetNothing(t *testing.T) {
	d := newDesk(t, Config{})
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead} {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(method, "/", strings.NewReader(`{"action":"new_utilization_id","key":"k"}`)))
		if w.Code != 400 || !strings.Contains(w.Body.String(), "4001") {
			t.Errorf("%s = %d %s, want 4001", method, w.Code, w.Body)
		}
	}
}

// Gateways of others may want a content type; ours takes what comes.
func TestContentTypeDoesNotMatter(t *testing.T) {
	d := newDesk(t, Config{})
	for _, kind := range []string{"", "application/json", "text/plain", "application/x-www-form-urlencoded",
		"multipart/form-data; boundary=x", "application/json; charset=utf-16"} {
		r := newPost(`{"action":"new_utilization_id","key":"k"}`)
		r.Header.Set("Content-Type", kind)
		if status, header, _ := d.send(r); status != 200 || header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: status %d, %q", kind, status, header.Get("Content-Type"))
		}
	}
}

func TestKeyAllowsSoManyCamerasAtOnceAndOthersDoNotCount(t *testing.T) {
	d := newDesk(t, Config{})
	d.changeKey(func(c *store.Customer) { c.CamerasMax = 2 })
	d.addKey("other", store.Customer{Name: "other", Enabled: true, CamerasMax: 1})
	ids := []string{d.newID(), d.newID(), d.newID()}
	d.want(startBody("other", d.newIDOf("other")), 0)
	d.want(startBody("k", ids[0]), 0)
	d.want(startBody("k", ids[1]), 0)
	if got := d.want(startBody("k", ids[2]), 4091)["error_txt"]; got != "this key allows 2 cameras at once" {
		t.Errorf("error_txt %q", got)
	}
	if got := d.want(startBody("k", ids[1]), 4091)["error_txt"]; got != "stream already active" {
		t.Errorf("error_txt %q of its own stream", got)
	}
	d.want(about("stop_stream", ids[0]), 0)
	d.want(startBody("k", ids[2]), 0)
}

// What tells the source from others at the receiver: the SSRC that it announced, in any form that
// JSON has for it, and the address from which it asks, also when that changes.
func TestGatewayPassesOnWhoTheSourceIs(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.newID()
	for said, want := range map[string]uint32{
		`305419896`: 305419896, `"305419896"`: 305419896, `305419896.0`: 305419896, `4294967295`: 4294967295,
		`4294967296`: 0, `-1`: 0, `1.5`: 0, `"x"`: 0, `null`: 0, `[5]`: 0, `{}`: 0, `1e400`: 0,
	} {
		body := startBody("k", id)
		d.want(body[:len(body)-1]+`,"offer":["rtx","rtcp-mux"],"ssrc":`+said+`}`, 0)
		if g := d.server.grant; g.SSRC != want || g.Asker != netip.MustParseAddr("192.0.2.1") || len(g.Offer) != 2 {
			t.Errorf("ssrc %s: Begin got %+v, want %d from 192.0.2.1", said, g, want)
		}
		if code, answer := d.postFrom("::ffff:198.51.100.7", about("validate_stream", id)); code != 0 {
			t.Errorf("validate_stream = %v", answer)
		}
		if d.server.asker != netip.MustParseAddr("198.51.100.7") {
			t.Errorf("Captured got %v, want the address of now", d.server.asker)
		}
		d.want(about("stop_stream", id), 0)
	}
}

func TestLoadBalancerSaysWhoAsksAndHow(t *testing.T) {
	d := newDesk(t, Config{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for _, c := range []struct {
		name, from, forwarded, proto, asker string
		isSecure                            bool
	}{
		{"no load balancer", "192.0.2.1", "203.0.113.9", "https", "192.0.2.1", false},
		{"one", "10.0.0.1", "203.0.113.9", "https", "203.0.113.9", true},
		{"two", "10.0.0.1", "203.0.113.9, 10.0.0.2", "https", "203.0.113.9", true},
		{"what the asker wrote itself", "10.0.0.1", "198.51.100.1, 203.0.113.9", "http", "203.0.113.9", false},
		{"nonsense before", "10.0.0.1", "x, 203.0.113.9", "", "203.0.113.9", false},
		{"nonsense", "10.0.0.1", "203.0.113.9, x", "", "10.0.0.1", false},
		{"nothing", "10.0.0.1", "", "", "10.0.0.1", false},
		{"IPv6", "10.0.0.1", "2001:db8::1", "HTTPS", "2001:db8::1", true},
	} {
		r := newPost("{}")
		r.RemoteAddr = c.from + ":999"
		r.Header.Set("X-Forwarded-For", c.forwarded)
		r.Header.Set("X-Forwarded-Proto", c.proto)
		asker, isSecure := balancers(d.config.Proxies).askerOf(r)
		if asker != netip.MustParseAddr(c.asker) || isSecure != c.isSecure {
			t.Errorf("%s: %v, %v, want %s, %v", c.name, asker, isSecure, c.asker, c.isSecure)
		}
	}
}

func TestBoardFactsAreKeptWithTheTime(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.newID()
	body := startBody("k", id)
	d.want(body[:len(body)-1]+`,"board":{"serial":"s1","version":"v1","temperature_c":48.34}}`, 0)
	began := d.now()
	if s := d.source(id); s.Board.Serial != "s1" || *s.Board.TemperatureC != 48.3 || !s.BoardAt.Equal(began) {
		t.Errorf("after start_stream %+v at %v", s.Board, s.BoardAt)
	}
	d.advance(time.Minute)
	d.want(about("validate_stream", id), 0) // says nothing of itself
	if s := d.source(id); s.Board.Serial != "s1" || !s.BoardAt.Equal(began) {
		t.Errorf("after a word of nothing %+v at %v", s.Board, s.BoardAt)
	}
	body = about("validate_stream", id)
	d.want(body[:len(body)-1]+`,"board":{"serial":"s1","version":"v2"}}`, 0)
	if s := d.source(id); s.Board.Version != "v2" || !s.BoardAt.Equal(d.now()) {
		t.Errorf("after validate_stream %+v at %v", s.Board, s.BoardAt)
	}
}

func TestAnalysisIsTheLatestAndGoesStale(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.newID()
	get := fmt.Sprintf(`{"action":"get_data","key":"k","utilization_id":%q}`, id)
	put := fmt.Sprintf(`{"action":"put_data","key":"k","utilization_id":%q,"delay_ms":40.5,"data":`, id)
	for i := range 200 { // ten a second
		d.want(put+fmt.Sprintf(`[%d]}`, i), 0)
		d.advance(100 * time.Millisecond)
	}
	got := d.want(get, 0)
	rate, _ := got["analysed_per_s"].(float64)
	if data, _ := got["data"].([]any); len(data) != 1 || data[0] != 199.0 || got["delay_ms"] != 40.5 {
		t.Errorf("get_data = %v", got)
	}
	if rate < 9 || rate > 11 {
		t.Errorf("analysed_per_s %v, want about 10", rate)
	}
	d.want(put+`{"faces":2}}`, 0)
	if data, _ := d.want(get, 0)["data"].([]any); len(data) != 1 {
		t.Errorf("one object came as %v, want a list", data)
	}
	d.advance(analysisAge + time.Second)
	d.want(get, 4093)
}

func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"action":"start_stream","key":"k","utilization_id":1,"width":"640","height":480,"ssrc":5,"offer":["rtx"]}`,
		`{"action":"new_utilization_id","key":"k","board":{"serial":"s"}}`,
		`{"action":"put_data","key":"k","utilization_id":"x","data":[],"delay_ms":"1e9"}`,
		`{"action":"admin","user":"root","password":"secret","command":"add_key","name":"n","analyses":["a"]}`,
		`{"action":"admin","user":"root","password":"secret","command":"change_key","id":1,"valid_until":""}`,
	} {
		f.Add([]byte(seed))
	}
	var d *desk
	f.Fuzz(func(t *testing.T, b []byte) {
		if d == nil { // one database for all: its folder goes with the process
			d = newFuzzDesk(t)
		}
		d.t = t
		d.advance(time.Minute)
		status, answer := d.post(string(b))
		code, refused := answer["error_code"].(float64)
		if refused && int(code)/10 != status || !refused && status != 200 {
			t.Errorf("%q = %d %v", b, status, answer)
		}
		if code == wire.CodeStatusFailed || code == wire.CodeServerUnreachable {
			t.Errorf("%q = %v: the store cannot take it", b, answer)
		}
	})
}

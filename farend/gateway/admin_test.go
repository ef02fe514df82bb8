package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

// admin posts a command, with further fields.
func (d *desk) admin(command, fields string, code int) map[string]any {
	d.t.Helper()
	const body = `{"action":"admin","user":"root","password":"secret","command":%q%s}`
	return d.want(fmt.Sprintf(body, command, fields), code)
}

func newAdminDesk(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t, Config{AdminUser: "root", AdminPassword: "secret"})
	return d
}

func TestAdministratorAddsListsChangesAndRemovesKeys(t *testing.T) {
	d := newAdminDesk(t)
	added := d.admin("add_key", `,"name":"Gärtnerei","cameras_max":2,"analyses":["faces"],
		"valid_until":"2030-12-31T23:59:59+01:00","record_bytes":1000,"record_age_s":86400`, 0)
	key, _ := added["key"].(string)
	if len(key) < 20 || added["id"] == nil {
		t.Fatalf("add_key = %v", added)
	}
	list, _ := d.admin("list_keys", "", 0)["keys"].([]any)
	if len(list) != 2 {
		t.Fatalf("list_keys = %v", list)
	}
	got, _ := list[1].(map[string]any)
	if got["name"] != "Gärtnerei" || got["cameras_max"] != 2.0 || got["valid_until"] != "2030-12-31T22:59:59Z" ||
		got["record_age_s"] != 86400.0 || got["enabled"] != true || strings.Contains(fmt.Sprint(list), key) {
		t.Errorf("list_keys = %v", list)
	}
	id := d.newIDOf(key)
	d.want(startBody(key, id), 0)
	byID := fmt.Sprintf(`,"id":%v`, added["id"])
	d.admin("change_key", byID+`,"cameras_max":"x"`, 4006)
	d.admin("change_key", byID+`,"name":"k"`, 4006)
	for _, fields := range []string{`"valid_until":"1970-01-01T00:00:00Z"`, `"valid_until":"0001-01-01T00:00:00Z"`,
		`"record_age_s":9999999999`, `"record_age_s":-2`, `"name":""`, `"name":null,"cameras_max":-1`,
		`"record_bytes":-2`, `"analyses":["a b"]`, `"cameras_max":100001`} {
		text := fmt.Sprint(d.admin("change_key", byID+","+fields, 4006)["error_txt"])
		if !strings.Contains(text, "must be") {
			t.Errorf("change_key %s = %q, want it to say what must be", fields, text)
		}
	}
	d.admin("change_key", byID+`,"cameras_max":1,"valid_until":""`, 0)
	if c, err := d.store.CustomerByKey(t.Context(), store.HashKey(key)); err != nil || c.CamerasMax != 1 ||
		!c.ValidUntil.IsZero() || c.Name != "Gärtnerei" || c.RecordAge != 24*time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
	d.admin("change_key", byID+`,"new_key":"a new one"`, 0)
	d.want(about("validate_stream", id), 0)
	d.want(startBody(key, id), 4011)
	d.admin("change_key", byID+`,"enabled":false`, 0)
	if d.server.count() != 0 {
		t.Error("a stream of a disabled key is still open")
	}
	d.admin("change_key", byID+`,"enabled":true`, 0)
	d.want(startBody("a new one", id), 0)
	d.admin("remove_key", byID, 0)
	if d.server.count() != 0 || len(d.active()) != 0 {
		t.Error("a stream of a removed key is still open")
	}
	d.want(startBody("a new one", id), 4011)
	d.want(about("validate_stream", id), 4012)
	d.admin("remove_key", byID, 4006)
}

func TestAdministratorListsAndStopsStreams(t *testing.T) {
	d := newAdminDesk(t)
	id := d.newID()
	if list, is := d.admin("list_streams", "", 0)["streams"].([]any); !is || len(list) != 0 {
		t.Errorf("list_streams = %v, want an empty list", list)
	}
	d.want(startBody("k", id), 0)
	list, _ := d.admin("list_streams", "", 0)["streams"].([]any)
	one, _ := list[0].(map[string]any)
	if len(list) != 1 || one["utilization_id"] != id || one["server"] != "a" || one["asker"] != "192.0.2.1" ||
		one["state"] != "waiting" {
		t.Errorf("list_streams = %v", list)
	}
	d.admin("stop_stream", fmt.Sprintf(`,"utilization_id":%q`, id), 0)
	if d.server.count() != 0 || d.lastEnded().Because != "stopped by an administrator" {
		t.Errorf("%d open, %q", d.server.count(), d.lastEnded().Because)
	}
}

func TestAdministratorIsHeardOverHTTPSOrOnTheMachineItselfOnly(t *testing.T) {
	d := newDesk(t, Config{AdminUser: "root", AdminPassword: "secret"})
	const body = `{"action":"admin","user":"root","password":"secret","command":"list_keys"}`
	for from, want := range map[string]int{"127.0.0.1": 0, "::1": 0, "198.51.100.7": 4053} {
		if code, answer := d.postFrom(from, body); code != want {
			t.Errorf("from %s = %v, want %d", from, answer, want)
		}
	}
	nobody := newDesk(t, Config{})
	for _, credentials := range []string{`"user":"root","password":"secret"`, `"user":"","password":""`} {
		code, answer := nobody.postFrom("127.0.0.1", `{"action":"admin","command":"list_keys",`+credentials+`}`)
		if code/10 == http.StatusOK/10 || code == 0 {
			t.Errorf("without an administrator %s = %v", credentials, answer)
		}
	}
}

// What one administrator changes stays when another changes something else at the same moment.
func TestKeyThatIsDisabledMeanwhileStaysDisabled(t *testing.T) {
	d := newAdminDesk(t)
	var all sync.WaitGroup
	disable := func() {
		_, err := d.store.ChangeCustomer(t.Context(), d.key.ID, func(c *store.Customer) error {
			c.Enabled = false
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for i := range 20 {
		all.Go(func() {
			if i == 10 {
				disable()
				return
			}
			body := fmt.Sprintf(`{"action":"admin","user":"root","password":"secret","command":"change_key",`+
				`"id":%d,"cameras_max":%d}`, d.key.ID, i)
			if code, answer := d.postFrom("127.0.0.1", body); code != 0 {
				t.Error(answer)
			}
		})
	}
	all.Wait()
	if c, err := d.store.CustomerByKey(t.Context(), store.HashKey("k")); err != nil || c.Enabled {
		t.Errorf("%+v, %v, want it disabled", c, err)
	}
}

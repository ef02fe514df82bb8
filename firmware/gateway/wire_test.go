package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIDGoesBackAsItCame(t *testing.T) {
	for literal, words := range map[string]string{
		`"abc"`: "abc", `"12"`: "12", `12`: "12", `12345678901234567890123`: "12345678901234567890123", `-1.50e2`: "-1.50e2", `"ä\"b"`: `ä"b`,
	} {
		var id ID
		if err := json.Unmarshal([]byte(literal), &id); err != nil {
			t.Errorf("%s: %v", literal, err)
		}
		back, err := json.Marshal(id)
		if err != nil || string(back) != literal || id.String() != words {
			t.Errorf("%s came back as %s (%q), %v", literal, back, id, err)
		}
	}
	for _, literal := range []string{`true`, `[]`, `{}`, `"` + strings.Repeat("x", maxID) + `"`} {
		var id ID
		if err := json.Unmarshal([]byte(literal), &id); err == nil {
			t.Errorf("%.20s was taken as %v", literal, id)
		}
	}
	for _, literal := range []string{`null`, `""`} {
		id := TextID("x")
		if err := json.Unmarshal([]byte(literal), &id); err != nil || !id.IsZero() {
			t.Errorf("%s = %v, %v, want none", literal, id, err)
		}
	}
	if TextID("12") == (ID{"12"}) {
		t.Error(`"12" and 12 are the same ID`)
	}
}

func TestRequestKeepsItsKeyOutOfLogs(t *testing.T) {
	if s := (Request{Action: "start_stream", Key: "secret"}).String(); strings.Contains(s, "secret") {
		t.Errorf("String = %q", s)
	}
}

func TestFileStoreKeepsTheLiteralAndLeavesNoOtherFile(t *testing.T) {
	store := FileStore{Dir: t.TempDir()}
	if id, err := store.Load(); err != nil || !id.IsZero() {
		t.Errorf("Load of nothing = %v, %v", id, err)
	}
	for _, id := range []ID{TextID("a\nb"), {"12345678901234567890"}} {
		if err := store.Save(id); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Load(); err != nil || got != id {
			t.Errorf("Load = %v, %v, want %v", got, err, id)
		}
	}
	if entries, err := os.ReadDir(store.Dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v, want one file", entries, err)
	}
	if err := os.WriteFile(filepath.Join(store.Dir, "utilization_id"), []byte("\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := store.Load(); err == nil || !id.IsZero() {
		t.Errorf("Load of garbage = %v, %v, want an error", id, err)
	}
	if err := (FileStore{Dir: filepath.Join(store.Dir, "none")}).Save(TextID("x")); err == nil {
		t.Error("Save into nothing = nil")
	}
}

// An answer may be anything; reading it must end with a value or an error, and an
// ID that was taken must be JSON again.
func FuzzRead(f *testing.F) {
	f.Add(200, []byte(`{"utilization_id":"x","url":"http://h:1/","rtp_port":"5004","rtcp_port":5005,"keepalive_s":5,"validation_code":0}`))
	f.Add(401, []byte(`{"error_code":4011,"error_txt":"x"}`))
	f.Add(302, []byte(`<html>`))
	f.Add(200, []byte(`{"url":"h","rtp_port":1024,"rtcp_port":1025,"srtp_profile":"AEAD_AES_128_GCM","srtp_key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==","srtcp_key":"EAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="}`))
	f.Fuzz(func(t *testing.T, status int, b []byte) {
		a, err := read("x", status, string(b), b)
		if err != nil {
			return
		}
		if _, err := json.Marshal(a.Utilization); err != nil {
			t.Errorf("ID %q of %q does not go back: %v", a.Utilization.literal, b, err)
		}
		if host, err := receiverHost(a.URL); err == nil && !isAddr(host) && !isName(host) {
			t.Errorf("receiverHost(%q) = %q", a.URL, host)
		}
		if period := keepAlive(a.KeepAlive); period < minKeepAlive || period > maxKeepAlive {
			t.Errorf("keepAlive(%v) = %v", a.KeepAlive, period)
		}
		if keys, err := readSRTP(a, true); err == nil && keys != nil {
			if size := KeySize(keys.Profile); size == 0 || len(keys.Source) != size || len(keys.Receiver) != size {
				t.Errorf("readSRTP of %q = keys of %d and %d bytes for %s", b, len(keys.Source), len(keys.Receiver), keys.Profile)
			}
		}
	})
}

package gateway

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"testing"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// postTLS is post over https.
func (d *desk) postTLS(body string) map[string]any {
	d.t.Helper()
	r := newPost(body)
	r.TLS = &tls.ConnectionState{}
	_, _, answer := d.send(r)
	return answer
}

func TestGatewayGrantsNewKeysToWhoCanUseThemOverHTTPSOnly(t *testing.T) {
	d := newDesk(t, Config{SRTP: true})
	id := d.newID()
	start := func(srtp string) string {
		body := startBody("k", id)
		return body[:len(body)-1] + srtp + "}"
	}
	d.want(start(`,"srtp":["AEAD_AES_128_GCM"]`), wire.CodeNoDescriptor) // plain http
	for _, none := range []string{``, `,"srtp":[]`, `,"srtp":["F8_128_HMAC_SHA1_80"]`, `,"srtp":7`} {
		if got := d.postTLS(start(none)); got["error_code"] != float64(wire.CodeNoDescriptor) {
			t.Errorf("start_stream with %q = %v, want 4004", none, got)
		}
	}
	if d.server.begins != 0 {
		t.Errorf("the server began %d times, want never", d.server.begins)
	}
	seen := map[any]bool{}
	for profile, n := range map[string]int{"AEAD_AES_128_GCM": 28, "AES_CM_128_HMAC_SHA1_80": 30} {
		got := d.postTLS(start(`,"srtp":["X","` + profile + `"]`))
		for _, name := range []string{"srtp_key", "srtcp_key"} {
			text, _ := got[name].(string)
			if b, err := base64.StdEncoding.DecodeString(text); err != nil || len(b) != n || seen[text] ||
				bytes.Count(b, b[:1]) == n {
				t.Errorf("%s: %s = %q, %v", profile, name, text, err)
			}
			seen[text] = true
		}
		if keys := d.server.grant.SRTP; got["srtp_profile"] != profile || keys == nil ||
			base64.StdEncoding.EncodeToString(keys.Source) != got["srtp_key"] {
			t.Errorf("start_stream = %v, the server has %v", got, keys)
		}
		if rows := d.active(); len(rows) != 1 || !rows[0].Encrypted {
			t.Errorf("%+v, want one that is encrypted", rows)
		}
		d.want(about("stop_stream", id), 0)
	}
}

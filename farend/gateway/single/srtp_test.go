package single

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// postTLS is post over https.
func (d *desk) postTLS(body string) map[string]any {
	d.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://desk.example:8080/", strings.NewReader(body))
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		d.t.Fatal(err)
	}
	return answer
}

func TestGatewayGrantsNewKeysToWhoCanUseThemOverHTTPSOnly(t *testing.T) {
	d := newDesk(t, Config{Key: "k", SRTP: true})
	id := d.newID()
	start := func(srtp string) string {
		return fmt.Sprintf(`{"action":"start_stream","key":"k","utilization_id":%q,"width":640,"height":480%s}`,
			id, srtp)
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
		if got["srtp_profile"] != profile || d.server.keys == nil ||
			base64.StdEncoding.EncodeToString(d.server.keys.Source) != got["srtp_key"] {
			t.Errorf("start_stream = %v, the server has %v", got, d.server.keys)
		}
		d.want(fmt.Sprintf(`{"action":"stop_stream","utilization_id":%q}`, id), 0)
	}
}

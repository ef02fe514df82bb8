package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// key is a base64 key of n bytes, all of them b.
func key(n int, b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, n))
}

// srtpFields are those of an answer; "" is left out.
func srtpFields(profile, srtpKey, srtcpKey string) string {
	var fields []string
	for _, f := range [][2]string{{"srtp_profile", profile}, {"srtp_key", srtpKey}, {"srtcp_key", srtcpKey}} {
		if f[1] != "" {
			fields = append(fields, fmt.Sprintf("%q:%q", f[0], f[1]))
		}
	}
	return strings.Join(fields, ",")
}

// serveTLS is serve over https.
func serveTLS(t *testing.T, body string) (*Client, *[]byte) {
	t.Helper()
	var asked []byte
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return newClient(t, ClientConfig{URL: server.URL, CA: string(ca)}), &asked
}

const granted = `"url":"v.example","rtp_port":5004,"rtcp_port":5005`

func TestSRTPIsOfferedOverHTTPSWithANewSSRCEachTime(t *testing.T) {
	c, asked := serveTLS(t, "{"+granted+"}")
	seen := map[uint32]bool{}
	for range 4 {
		g, err := c.StartStream(t.Context(), wire.TextID("x"), 640, 480)
		if err != nil {
			t.Fatal(err)
		}
		var r wire.Request
		if err := json.Unmarshal(*asked, &r); err != nil {
			t.Fatal(err)
		}
		if r.Codec != "VP8" || r.SSRC != g.SSRC || fmt.Sprint(r.SRTP) != "[AEAD_AES_128_GCM AES_CM_128_HMAC_SHA1_80]" {
			t.Errorf("asked %s, granted SSRC %d", *asked, g.SSRC)
		}
		if g.SSRC == 0 || seen[g.SSRC] || g.SRTP != nil {
			t.Errorf("grant %+v: want a new SSRC and no keys", g)
		}
		seen[g.SSRC] = true
	}
}

func TestKeysAreTakenOnlyWholeAndOverHTTPS(t *testing.T) {
	for _, c := range []struct{ name, fields, want string }{
		{"AES-GCM", srtpFields("AEAD_AES_128_GCM", key(28, 1), key(28, 2)), ""},
		{"AES-CM", srtpFields("AES_CM_128_HMAC_SHA1_80", key(30, 1), key(30, 2)), ""},
		{"a profile nobody offered", srtpFields("NULL_HMAC_SHA1_80", key(30, 1), key(30, 2)), "not offered"},
		{"keys without a profile", srtpFields("", key(28, 1), key(28, 2)), "not offered"},
		{"a profile without keys", srtpFields("AEAD_AES_128_GCM", "", ""), "srtp_key is not"},
		{"a key of the other profile", srtpFields("AEAD_AES_128_GCM", key(30, 1), key(28, 2)), "28 bytes"},
		{"no key for the way back", srtpFields("AEAD_AES_128_GCM", key(28, 1), ""), "srtcp_key is not"},
		{"no base64", srtpFields("AEAD_AES_128_GCM", "????", key(28, 2)), "srtp_key is not"},
		{"a profile that is no text", `"srtp_profile":7`, "no JSON of the protocol"},
	} {
		client, _ := serveTLS(t, "{"+granted+","+c.fields+"}")
		g, err := client.StartStream(t.Context(), wire.TextID("x"), 640, 480)
		if c.want == "" {
			if err != nil || g.SRTP == nil || g.SRTP.Source[0] != 1 || g.SRTP.Receiver[0] != 2 ||
				strings.Contains(fmt.Sprint(*g.SRTP), "1 1") {
				t.Errorf("%s: %+v, %v", c.name, g.SRTP, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "AQEB") {
			t.Errorf("%s: %v, want %q and no key", c.name, err, c.want)
		}
		plain, _ := serve(t, 200, "{"+granted+","+c.fields+"}")
		if g, err := plain.StartStream(t.Context(), wire.TextID("x"), 640, 480); err == nil {
			t.Errorf("%s: keys over http = %+v, want an error", c.name, g)
		}
	}
}

func TestKeysAreUsedOnceAndEncryptionCanBeRequired(t *testing.T) {
	var u usedKeys
	one := func(a, b byte) *wire.SRTP {
		return &wire.SRTP{Profile: wire.ProfileGCM, Source: bytes.Repeat([]byte{a}, 28),
			Receiver: bytes.Repeat([]byte{b}, 28)}
	}
	for _, c := range []struct {
		name     string
		keys     *wire.SRTP
		required bool
		want     error
	}{
		{"in the clear, which nobody forbids", nil, false, nil},
		{"in the clear, forbidden", nil, true, ErrNoKeys},
		{"new keys", one(1, 2), true, nil},
		{"the same again", one(1, 2), true, wire.ErrKeys},
		{"one of them the other way round", one(3, 1), false, wire.ErrKeys},
		{"one for both directions", one(9, 9), true, wire.ErrKeys},
		{"new ones", one(5, 6), true, nil},
	} {
		if err := u.admitKeys(c.keys, c.required); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for i := range 2*keySessionsKept + 10 {
		k := one(7, 8)
		k.Source[0], k.Source[1], k.Receiver[0], k.Receiver[1] = byte(i), byte(i>>8), byte(i), byte(i>>8)
		if err := u.admitKeys(k, true); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(u.hashes); n > 2*keySessionsKept {
		t.Errorf("%d keys kept, want at most %d", n, 2*keySessionsKept)
	}
}

func TestSessionStreamsNothingInTheClearWhenEncryptionIsRequired(t *testing.T) {
	s, session := play(t, nil, func(s *script, session *Session) { session.policy.Encrypted = true },
		step{ask: "new", id: "7"}, step{ask: "start 7"}, step{ask: "stop 7"})
	for _, did := range s.log {
		if strings.HasPrefix(did, "BEGIN") {
			t.Errorf("it streamed: %q", s.log)
		}
	}
	if p := session.State().Problem; !strings.Contains(p, "encryption") {
		t.Errorf("Problem = %q, want one about encryption", p)
	}
}

package forward

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestATokenLetsOneSourcePublishForAFewMinutes(t *testing.T) {
	l := LiveKit{Key: "k", Secret: "s"}
	parts := strings.Split(l.token("zoo", "gate \"1\"", noon), ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts", len(parts))
	}
	mac := hmac.New(sha256.New, []byte("s"))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	if base64.RawURLEncoding.EncodeToString(mac.Sum(nil)) != parts[2] {
		t.Error("the signature is not that of the secret")
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Iss, Sub string
		Nbf, Exp int64
		Video    struct {
			Room                               string
			RoomJoin, CanPublish, CanSubscribe bool
		}
	}
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	v := c.Video
	if c.Iss != "k" || c.Sub != `gate "1"` || c.Nbf != noon.Unix()-60 || c.Exp != noon.Unix()+300 || v.Room != "zoo" ||
		!v.RoomJoin || !v.CanPublish || v.CanSubscribe {
		t.Errorf("claims %s", b)
	}
}

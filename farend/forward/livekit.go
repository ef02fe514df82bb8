// Tokens for LiveKit's WHIP endpoint: one a stream, since a token names the participant.
// Spec: RFC 7519 (JWT), RFC 7515 section 3.1 (HS256); LiveKit's documentation of access tokens.

package forward

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// tokenLife is how long a token can begin a session. Both clocks may be wrong by tokenSlack.
const (
	tokenLife  = 5 * time.Minute
	tokenSlack = time.Minute
)

// LiveKit has a key of a LiveKit cluster, by which tokens are made.
type LiveKit struct {
	Key    string `json:"key"`
	Secret string `json:"secret"`
	Room   string `json:"room,omitempty"` // with {customer}, {source}, {stream}; "": {customer}
}

func (l *LiveKit) check() error {
	if l.Key == "" || l.Secret == "" {
		return errors.New("livekit: key or secret is missing")
	}
	return nil
}

func (l *LiveKit) room() string { return cmp.Or(l.Room, "{customer}") }

// token lets a source publish into a room.
func (l *LiveKit) token(room, source string, now time.Time) string {
	claims, err := json.Marshal(map[string]any{
		"iss": l.Key, "sub": source, "nbf": now.Add(-tokenSlack).Unix(), "exp": now.Add(tokenLife).Unix(),
		"video": map[string]any{"roomJoin": true, "room": room, "canPublish": true, "canSubscribe": false},
	})
	if err != nil {
		panic(err) // text and numbers
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(l.Secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// The gateway's server side: form and codes of the protocol. What each action does
// is in actions.go. Test it with httptest.

package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// maxRequest is many times the longest request of the protocol (about 700 bytes).
const maxRequest = 16 << 10

// A VideoServer takes the streams that a Gateway grants; *receiver.Receiver is one. Errors of Begin
// and Captured that wrap net.ErrClosed mean that it is gone for good.
type VideoServer interface {
	Begin(k *wire.SRTP) error // a stream may come, encrypted with k, or in the clear if that is nil
	Ports() (rtp, rtcp int)   // where it listens
	TransportID() uint8       // header extension for transport-wide numbers; 0: it wants none
	End()                     // the stream is over

	// Captured says what arrives of the stream: RTP packets; frames that a decoder can
	// show. An error says that it cannot capture, whatever arrives.
	Captured() (packets, frames bool, err error)
}

// Config is what a gateway knows. Server is required.
type Config struct {
	Key       string // "": every key is answered with 4051
	Server    VideoServer
	Host      string        // "url" in answers; "": the host by which the source reached us
	KeepAlive time.Duration // 0: no keepalive_s in answers, which means 60 s
	SRTP      bool          // every stream is encrypted: who cannot, or asks over plain http, gets none
	StateDir  string        // where ids outlive a restart; "": nowhere
	Now       func() time.Time
	Log       *slog.Logger
}

// A Gateway grants one stream at a time.
type Gateway struct {
	config Config
	key    string // hash

	mu     sync.Mutex
	ids    *ids
	active *grant
}

// A grant is the stream that is running.
type grant struct {
	id       wire.ID
	since    time.Time
	lastSeen time.Time // granted or validated
}

// New reads the ids of earlier runs.
func New(c Config) (*Gateway, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	known, err := loadIDs(c.StateDir)
	if err != nil {
		return nil, err
	}
	return &Gateway{config: c, key: hash(c.Key), ids: known}, nil
}

// hash stands in for the key in the file of ids, and makes keys of unequal length
// comparable in constant time.
func hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func refuse(code int, reason string) *wire.Refusal { return &wire.Refusal{Code: code, Reason: reason} }

// ServeHTTP answers one request. It never reads more than 16 KiB.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer wire.Answer
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	asked, why := request{}, refuse(wire.CodeNoAction, "POST one JSON object with an action")
	if err == nil && r.Method == http.MethodPost {
		asked, why = parseRequest(body)
	}
	asked.secure = r.TLS != nil
	if why == nil {
		answer, why = g.act(asked, ownHost(r))
	}
	status := http.StatusOK
	if why != nil {
		status = why.Code / 10
		answer = wire.Answer{ErrorCode: wire.NewInt(why.Code), ErrorText: wire.Text(why.Reason)}
		g.config.Log.Warn("gateway: refused", "from", r.RemoteAddr, "action", asked.action, "code", why.Code, "reason", why.Reason)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		g.config.Log.Debug("gateway: answer", "to", r.RemoteAddr, "err", err)
	}
}

// request is what was asked; what is missing or unreadable is its zero value.
type request struct {
	action, key   string
	utilization   wire.ID
	width, height int
	profiles      []string // of SRTP
	secure        bool     // came over https
}

func parseRequest(body []byte) (request, *wire.Refusal) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return request{}, refuse(wire.CodeNoAction, "the request is not one JSON object")
	}
	var r request
	var width, height json.Number // takes 640 and "640"
	for name, to := range map[string]any{
		"action": &r.action, "key": &r.key, "utilization_id": &r.utilization, "width": &width, "height": &height, "srtp": &r.profiles,
	} {
		if value, said := fields[name]; said {
			_ = json.Unmarshal(value, to) // unreadable is missing: each has its own code
		}
	}
	r.width, r.height = side(width), side(height)
	if r.action == "" {
		return r, refuse(wire.CodeNoAction, "no action argument")
	}
	return r, nil
}

// side gives 0 for what is no side of a VP8 picture (14 bits, RFC 6386 section 9.1).
func side(n json.Number) int {
	i, err := n.Int64()
	if err != nil || i < 1 || i >= 1<<14 {
		return 0
	}
	return int(i)
}

func (g *Gateway) rightKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(hash(key)), []byte(g.key)) == 1
}

// ownHost is the host that the source wrote into its request, which it can reach;
// without a usable one, the address that the request came to.
func ownHost(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if host == "" && ok {
		host = local.IP.String()
	}
	return host
}

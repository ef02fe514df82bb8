// The handler: form and codes of the protocol. What each action does is in actions.go. Test it
// with httptest.

package single

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// requestMax, in bytes, is many times the longest request of the protocol (about 700).
const requestMax = 16 << 10

// codeTooManyIDs is none of the protocol's table; a source acts on its first three digits.
const codeTooManyIDs = 4291

// retryAfter is when a refused source may ask again.
const retryAfter = 30 * time.Second

// A VideoServer takes the streams that a Gateway grants; *receiver.Receiver is one. Errors of Begin
// and Captured that wrap net.ErrClosed mean that it is gone for good.
type VideoServer interface {
	// Begin: a stream may come, encrypted with k, or in the clear if that is nil. ssrc is what
	// the source announced, 0 if nothing; asker is from where it asked.
	Begin(k *wire.SRTP, ssrc uint32, asker netip.Addr) error
	Ports() (rtp, rtcp int) // where it listens
	TransportID() uint8     // header extension for transport-wide numbers; 0: it wants none
	End()                   // the stream is over

	// Captured says what arrives of the stream: a validation code, 0 if that is pictures that
	// can be shown, and words for it. asker is from where the source asks now. An error that
	// wraps os.ErrDeadlineExceeded: nothing came for too long. Any other: it cannot capture,
	// whatever arrives.
	Captured(asker netip.Addr) (code int, words string, err error)
}

// Config is what a gateway knows. Server is required.
type Config struct {
	Key       string // "": every key is answered with 4051
	Server    VideoServer
	Host      string        // "url" in answers; "": the host by which the source reached us
	KeepAlive time.Duration // 0: no keepalive_s in answers, which means 60 s
	SRTP      bool          // every stream is encrypted; without SRTP or over plain http there is none
	StateDir  string        // where ids outlive a restart; "": nowhere

	// Offer says which update a source is offered, nil for none. It is called after each start_stream
	// and validate_stream of a source that has shown an id of ours and, to start, its key; also where
	// the stream is refused, for others wait while one streams. keyHash stands for the API key, host
	// is that of the request, with the port. It may be called by several goroutines at once; nil:
	// nothing is offered.
	Offer func(keyHash string, b wire.Board, host string) *wire.Update

	Now func() time.Time
	Log *slog.Logger
}

// A Gateway grants one stream at a time.
type Gateway struct {
	config  Config
	keyHash string

	// mu guards what follows. The video server is called and rare events are logged under it,
	// so that actions take effect one after the other; neither calls back.
	mu     sync.Mutex
	ids    *ids
	newIDs idLimit
	quiet  quietLog
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
	return &Gateway{config: c, keyHash: hashKey(c.Key), ids: known, quiet: quietLog{log: c.Log}}, nil
}

// hashKey stands in for the key in the file of ids, and makes keys of unequal length comparable
// in constant time.
func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func refuse(code int, reason string) *wire.Refusal { return &wire.Refusal{Code: code, Reason: reason} }

// ServeHTTP answers one request. It never reads more than 16 KiB.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer wire.Answer
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	asked, why := request{}, refuse(wire.CodeNoAction, "POST one JSON object with an action")
	if err == nil && r.Method == http.MethodPost {
		asked, why = parseRequest(body)
	}
	asked.secure, asked.from = r.TLS != nil, addressOf(r)
	if why == nil {
		answer, why = g.handleAction(asked, ownHost(r))
	}
	status := http.StatusOK
	if why != nil {
		status = why.Code / 10
		answer = wire.Answer{ErrorCode: wire.NewInt(why.Code), ErrorText: wire.Text(why.Reason)}
		g.noteRefusal(asked, why, r.RemoteAddr)
	}
	if key, known := g.knownSource(asked); known {
		answer.Update = g.config.Offer(key, asked.board, r.Host)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		g.config.Log.Debug("gateway: answer", "to", r.RemoteAddr, "error", err)
	}
}

// knownSource gives the hash of the key of a source that may be offered something.
func (g *Gateway) knownSource(r request) (keyHash string, known bool) {
	switch {
	case g.config.Offer == nil:
		return "", false
	case r.action == wire.ActionStartStream && !g.isOurKey(r.key):
		return "", false
	case r.action != wire.ActionStartStream && r.action != wire.ActionValidateStream:
		return "", false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	keyHash, known = g.ids.keyHashOf(r.utilization)
	return keyHash, known && keyHash == g.keyHash
}

// noteRefusal logs what a source, or anybody, was refused.
func (g *Gateway) noteRefusal(asked request, why *wire.Refusal, from string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	same := saying{message: "gateway: refused", code: why.Code, from: networkOf(asked.from)}
	g.quiet.say(slog.LevelWarn, same, g.config.Now(),
		"from", from, "action", clip(asked.action), "code", why.Code, "reason", why.Reason)
}

func (g *Gateway) isOurKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(hashKey(key)), []byte(g.keyHash)) == 1
}

// addressOf is from where a request came; not valid if that is no IP address.
func addressOf(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap().WithZone("")
}

// ownHost is the host that the source wrote into its request, which it can reach; without a
// usable one, the address that the request came to.
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

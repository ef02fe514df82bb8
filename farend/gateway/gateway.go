// The handler: form and codes of the protocol. What a source's actions do is in actions.go, the others
// are in analysis.go and admin.go. Test it with httptest.

package gateway

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

const (
	// requestMax, in bytes: a source's requests have about 700, an analyser's results some thousand.
	requestMax = 64 << 10

	// requestTimeout is for one request: a source waits 10 s for the answer.
	requestTimeout = 8 * time.Second

	// offerTimeout is for the offer of an update beyond that: the answer is there, and the board asks again
	// within a minute.
	offerTimeout = time.Second

	// codeTooMany is none of the protocol's table; a source acts on its first three digits.
	codeTooMany = 4291

	// retryAfter is when whoever asked too much may ask again.
	retryAfter = 30 * time.Second
)

// Servers are the video servers; *videoserver.Cluster is one.
type Servers interface {
	// Choose gives a server for a stream. stream.ErrFull: all are full; stream.ErrUnreachable: none lives.
	// A server that has just refused is not given again.
	Choose(ctx context.Context, g stream.Grant) (name string, s stream.VideoServer, err error)

	// ByName gives a server. stream.ErrUnreachable: it is dead, and with it all its streams; any other
	// error says nothing about them.
	ByName(ctx context.Context, name string) (stream.VideoServer, error)
}

// Config is what a gateway knows. Store and Servers are required.
type Config struct {
	Store     Store
	Servers   Servers
	KeepAlive time.Duration // 0: no keepalive_s in answers, which means 60 s
	SRTP      bool          // every stream is encrypted; without SRTP or over plain http there is none

	// AdminUser and AdminPassword are who may use the action admin; "": nobody.
	AdminUser, AdminPassword string

	// Proxies are networks of load balancers, which say in X-Forwarded-For and X-Forwarded-Proto who asks
	// and whether that came over https.
	Proxies []netip.Prefix

	// Offer says which update a source is offered, nil for none. It is called after each start_stream
	// and validate_stream of a source that has shown an id of ours and, to start, its key; also where
	// the stream is refused. keyHash stands for the API key, host is that of the request, with the port.
	// It may be called by several goroutines at once, and ends with ctx; nil: nothing is offered.
	Offer func(ctx context.Context, keyHash string, b wire.Board, host string) *wire.Update

	Now    func() time.Time
	Uptime func() time.Duration // which passes evenly when the clock is set; nil: by Now's monotonic reading
	Log    *slog.Logger
}

// A Gateway answers sources. It is safe for use by several goroutines.
type Gateway struct {
	config  Config
	began   time.Duration // by Config.Uptime
	newIDs  idLimit
	guesses guessLimit // of API keys
	admins  guessLimit // of administrators' passwords
	quiet   quietLog
	clock   clockWatch

	outage      outage // of the store
	disturbance outage // the clock was set
}

// New makes a gateway; nothing is asked of the store yet.
func New(c Config) *Gateway {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Uptime == nil {
		began := c.Now()
		c.Uptime = func() time.Duration { return c.Now().Sub(began) }
	}
	return &Gateway{
		config: c, began: c.Uptime(), quiet: quietLog{log: c.Log},
		guesses: guessLimit{burst: keyGuessBurst, interval: keyGuessInterval},
		admins:  guessLimit{burst: adminGuessBurst, interval: adminGuessInterval},
	}
}

func refuse(code int, reason string) *wire.Refusal { return &wire.Refusal{Code: code, Reason: reason} }

// A reply is an answer to a source, or to those whose answers have more.
type reply struct {
	wire.Answer
	*results
	*adminAnswer
}

// ServeHTTP answers one request. It never reads more than 64 KiB.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Whoever goes away in the middle must leave no stream half begun.
	whole, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), requestTimeout+offerTimeout)
	defer cancel()
	ctx, cancel := context.WithTimeout(whole, requestTimeout)
	defer cancel()
	c, why := g.readCall(w, r)
	var answer reply
	if why == nil {
		answer, why = g.handleAction(ctx, c)
	}
	status := http.StatusOK
	if why != nil {
		status = why.Code / 10
		answer = reply{Answer: wire.Answer{ErrorCode: wire.NewInt(why.Code), ErrorText: wire.Text(why.Reason)}}
		g.noteRefusal(c, why)
	}
	if c.isProven && g.config.Offer != nil {
		answer.Update = g.offer(whole, c, r.Host)
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

// offer asks which update a source is offered, and takes none where that lasts.
func (g *Gateway) offer(ctx context.Context, c *call, host string) *wire.Update {
	ctx, cancel := context.WithTimeout(ctx, offerTimeout)
	defer cancel()
	return g.config.Offer(ctx, c.customer.KeyHash, c.board, host)
}

// readCall reads what was posted. The call is never nil.
func (g *Gateway) readCall(w http.ResponseWriter, r *http.Request) (*call, *wire.Refusal) {
	c := &call{host: ownHost(r)}
	c.from, c.isSecure = balancers(g.config.Proxies).askerOf(r)
	if r.Method != http.MethodPost {
		return c, refuse(wire.CodeNoAction, "POST one JSON object with an action")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	if err != nil {
		return c, refuse(wire.CodeNoAction, "the request is not one JSON object of at most 64 KiB")
	}
	var why *wire.Refusal
	c.request, why = parseRequest(body)
	return c, why
}

func (g *Gateway) handleAction(ctx context.Context, c *call) (reply, *wire.Refusal) {
	switch c.action {
	case wire.ActionNewUtilizationID:
		return g.newUtilizationID(ctx, c)
	case wire.ActionStartStream:
		return g.startStream(ctx, c)
	case wire.ActionValidateStream:
		return g.validateStream(ctx, c)
	case wire.ActionStopStream:
		return g.stopStream(ctx, c)
	case actionGetData:
		return g.getData(ctx, c)
	case actionPutData:
		return g.putData(ctx, c)
	case actionAdmin:
		return g.administer(ctx, c)
	}
	return reply{}, refuse(wire.CodeUnknownAction, "unknown action")
}

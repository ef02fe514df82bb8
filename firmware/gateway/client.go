// The client: one HTTP POST for each request; nothing is kept but a connection, for a few
// seconds. Test it with httptest.

package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// answerMax, in bytes, is many times the longest answer of the protocol (about 300): a board
// must not read a gateway's endless page into its memory.
const answerMax = 64 << 10

// requestTimeout is the default for a whole request.
const requestTimeout = 10 * time.Second

// ClientConfig says whom to ask and how.
type ClientConfig struct {
	URL       string
	Key       string           // API key; secret, goes only into request bodies
	AllowHTTP bool             // the key may travel in the clear
	CA        string           // PEM; if given, only these authorities are trusted
	Timeout   time.Duration    // of a whole request; default 10 s
	Now       func() time.Time // default time.Now; certificates are checked against it
	Built     time.Time        // when this program was built: no right clock reads less
	ClockSet  func() bool      // whether somebody set this machine's clock; nil: nobody knows

	// Board gives what start_stream and validate_stream say of this board; nil, or a nil result:
	// nothing.
	Board func() *wire.Board
	// Offered is called with what an answer to start_stream or validate_stream offers, a refusal's,
	// too, and with nil when a good answer offers nothing. It gets the offer as it came: Check is for
	// the callee. It must return soon; nil: nobody wants to know.
	Offered func(*wire.Update)
}

// A Client asks one gateway. It is safe for concurrent use.
type Client struct {
	config ClientConfig
	http   http.Client
	secure bool // https

	redirect atomic.Pointer[redirect] // of config.URL, to another path of its server; nil: there is none
}

// NewClient checks the configuration and asks nobody. Errors: ErrConfig,
// ErrPlainHTTP.
func NewClient(c ClientConfig) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%w: gateway.url %q must be a URL such as https://gateway.example/api",
			ErrConfig, c.URL)
	}
	if c.Key == "" {
		return nil, fmt.Errorf("%w: gateway.key is missing", ErrConfig)
	}
	if u.Scheme == "http" && !c.AllowHTTP {
		return nil, fmt.Errorf("gateway: %w", ErrPlainHTTP)
	}
	if c.Timeout == 0 {
		c.Timeout = requestTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, Time: c.Now}
	if c.CA != "" {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM([]byte(c.CA)) {
			return nil, fmt.Errorf("%w: gateway.ca holds no PEM certificate", ErrConfig)
		}
	}
	return &Client{config: c, secure: u.Scheme == "https", http: http.Client{
		Transport: &http.Transport{
			DialContext:            newNameServers(resolvConf).DialContext,
			TLSClientConfig:        trust,
			MaxResponseHeaderBytes: answerMax,
			// Long enough for start_stream after new_utilization_id. All other requests are a
			// second and more apart, in which a server may close the connection unnoticed.
			IdleConnTimeout: requestGap / 2,
			MaxIdleConns:    1,
		},
		// A redirect would carry the key to wherever a bad gateway likes; see redirect.go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// NewUtilizationID asks for an id. Errors here and below: *wire.Refusal, *ClockError,
// ErrSilent, ErrUnreachable, ErrRedirect, ErrBadAnswer, or ctx's.
func (c *Client) NewUtilizationID(ctx context.Context) (wire.ID, error) {
	a, err := c.postRequest(ctx, wire.Request{Action: wire.ActionNewUtilizationID, Key: c.config.Key})
	if err != nil {
		return wire.ID{}, err
	}
	if a.Utilization.IsZero() {
		return wire.ID{}, missingField(wire.ActionNewUtilizationID, "utilization_id")
	}
	return a.Utilization, nil
}

// StartStream asks for a grant, with a new SSRC. The receiver that it names is not checked
// yet: Policy does that. Keys that cannot be used are an error (wire.ErrKeys), since a gateway
// that sends keys does not want a stream in the clear.
func (c *Client) StartStream(ctx context.Context, id wire.ID, width, height int) (Grant, error) {
	r := wire.Request{
		Action: wire.ActionStartStream, Key: c.config.Key, Utilization: id, Width: width, Height: height,
	}
	r.Codec, r.SSRC = "VP8", newSSRC() // a receiver knows the stream by it, in the clear, too
	if c.secure {                      // keys travel over https only; without them a gateway need not know the rest
		r.SRTP = []string{wire.ProfileGCM, wire.ProfileCM}
		r.Offer = []string{wire.OfferRTX, wire.OfferTransport, wire.OfferCaptureTime, wire.OfferMux}
	}
	a, err := c.askAsBoard(ctx, r)
	if err != nil {
		return Grant{}, err
	}
	host, err := receiverHost(a.URL)
	if err != nil {
		return Grant{}, fmt.Errorf("gateway: %s: %w: %w", wire.ActionStartStream, ErrBadAnswer, err)
	}
	if !a.RTPPort.Said || !a.RTCPPort.Said {
		return Grant{}, missingField(wire.ActionStartStream, "rtp_port or rtcp_port")
	}
	srtp, err := readSRTP(a, c.secure)
	if err != nil {
		return Grant{}, fmt.Errorf("gateway: %s: %w", wire.ActionStartStream, err)
	}
	return Grant{
		Utilization: id, Host: host, RTPPort: a.RTPPort.N, RTCPPort: a.RTCPPort.N,
		KeepAlive: clampKeepAlive(a.KeepAlive), SSRC: r.SSRC, SRTP: srtp, Agreed: readAgreed(a),
	}, nil
}

// A Validation is the gateway's word on whether the stream is captured.
type Validation struct {
	Code int    // 0: the server captures the stream; all else: it does not
	Text string // the gateway's own words, for the log
}

// ValidateStream asks whether the stream arrives.
func (c *Client) ValidateStream(ctx context.Context, id wire.ID) (Validation, error) {
	a, err := c.askAsBoard(ctx, wire.Request{Action: wire.ActionValidateStream, Utilization: id})
	if err != nil {
		return Validation{}, err
	}
	if !a.Validation.Said { // silence must not pass for 0
		return Validation{}, missingField(wire.ActionValidateStream, "validation_code")
	}
	return Validation{Code: a.Validation.N, Text: string(a.Explanation)}, nil
}

// StopStream ends the grant. Whatever a good status comes with is a yes, but for a refusal and a
// web page.
func (c *Client) StopStream(ctx context.Context, id wire.ID) error {
	_, err := c.postRequest(ctx, wire.Request{Action: wire.ActionStopStream, Utilization: id})
	if !errors.Is(err, ErrMoved) { // which this very request caused: it comes again
		c.forgetTemporary()
	}
	return err
}

// missingField says that a good answer lacks what it is for.
func missingField(action, field string) error {
	return fmt.Errorf("gateway: %s: %w: %s is missing", action, ErrBadAnswer, field)
}

// askAsBoard makes a request that says who asks, and passes on what the answer offers.
func (c *Client) askAsBoard(ctx context.Context, r wire.Request) (wire.Answer, error) {
	if c.config.Board != nil {
		r.Board = c.config.Board()
	}
	a, err := c.postRequest(ctx, r)
	// A refusal without an offer says nothing of one; a gateway that refuses a board's stream may
	// still want to mend the board.
	if c.config.Offered != nil && (err == nil || a.Update != nil) {
		c.config.Offered(a.Update)
	}
	return a, err
}

// postRequest makes one request and reads its answer, which has the fields of a refusal, too.
func (c *Client) postRequest(ctx context.Context, r wire.Request) (wire.Answer, error) {
	a, err := c.exchange(ctx, r)
	var refusal *wire.Refusal
	if err != nil && !errors.As(err, &refusal) { // which says "gateway: …" itself
		return wire.Answer{}, fmt.Errorf("gateway: %s: %w", r.Action, err)
	}
	return a, err
}

// exchange posts r. Where the same server has another path for it, that is taken from the next
// request on: a request is one HTTP request, whatever the gateway says.
func (c *Client) exchange(ctx context.Context, r wire.Request) (wire.Answer, error) {
	limited, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	to, via := c.target()
	got, err := c.post(limited, r, to)
	if err != nil {
		if ctx.Err() == nil {
			c.judgeRedirect(via, false, false)
		}
		return wire.Answer{}, c.sortError(ctx, err)
	}
	if got.isRedirect() {
		if err := c.takeRedirect(to, via, got); err != nil {
			return wire.Answer{}, err
		}
	}
	a, err := judgeAnswer(r.Action, got, c.config.Now())
	c.judgeRedirect(via, true, isOfProtocol(r.Action, a, err))
	return a, err
}

// post makes one HTTP request.
func (c *Client) post(ctx context.Context, r wire.Request, to *url.URL) (response, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return response{}, err
	}
	var brokenOff atomic.Bool // written by the goroutine that dials
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { brokenOff.Store(err != nil) },
	})
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return response{}, err
	}
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("Accept", "application/json")
	got, err := c.http.Do(post)
	if err != nil && brokenOff.Load() {
		err = fmt.Errorf("%w: %w", errBrokenOff, err)
	}
	if err != nil {
		return response{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, answerMax+1))
	return response{status: got.StatusCode, header: got.Header, body: text, secure: c.secure}, err
}

// The gateway's end: a video server of another process. Test it with httptest and a Handler.

package videoserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// callTimeout is for one call: a source waits 10 s for its gateway, which may try a second server.
const callTimeout = 3 * time.Second

// idleTimeout is shorter than a video server keeps a connection that nobody uses (30 s, as
// docs/video-server.md says): a POST on one that is just being closed fails.
const idleTimeout = 20 * time.Second

// errKeys says that SRTP's keys would be readable on their way.
var errKeys = errors.New("keys travel over https only")

// errClosedDoor says that the host is there, and no process listens for calls any more.
var errClosedDoor = errors.New("nothing listens there")

// A Client is the video server at a URL. It is safe for use by several goroutines, and keeps connections
// for as long as its http.Client does.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// NewHTTPClient makes what Clients share. config is for https: nil trusts the system's authorities.
func NewHTTPClient(config *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: callTimeout}).DialContext,
			TLSClientConfig:     config,
			TLSHandshakeTimeout: callTimeout,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     idleTimeout,

			MaxResponseHeaderBytes: messageMax,
		},
		// The token would go elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewClient calls the video server whose API is at control, with its token.
func NewClient(control, token string, by *http.Client) (*Client, error) {
	base, err := parseControl(control)
	if err != nil {
		return nil, err
	}
	return &Client{base: base, token: token, http: by}, nil
}

func parseControl(control string) (*url.URL, error) {
	u, err := url.Parse(control)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || len(control) > urlMax {
		return nil, fmt.Errorf("%w: control: an http or https URL without user, query and fragment is wanted",
			errMessage)
	}
	return u, nil
}

const urlMax = 512

// mayCarryKeys: SRTP's keys travel over https, or stay on this machine.
func (c *Client) mayCarryKeys() bool {
	if c.base.Scheme == "https" {
		return true
	}
	a, err := netip.ParseAddr(c.base.Hostname())
	return err == nil && a.IsLoopback()
}

// Begin implements stream.VideoServer.
func (c *Client) Begin(ctx context.Context, g stream.Grant) (stream.Place, error) {
	if g.SRTP != nil && !c.mayCarryKeys() {
		return stream.Place{}, fmt.Errorf("video server %s: begin: %w", c.base.Host, errKeys)
	}
	var m placeMessage
	err := c.call(ctx, "begin", "streams", messageOf(g), &m)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return stream.Place{}, c.explain("begin", err)
	}
	return stream.Place(m), nil
}

// Captured implements stream.VideoServer.
func (c *Client) Captured(ctx context.Context, id string, asker netip.Addr) (stream.Verdict, error) {
	var m verdictMessage
	err := c.call(ctx, "captured", "streams/"+id+"/captured", capturedMessage{textOf(asker)}, &m)
	if err == nil && m.Code == nil {
		err = fmt.Errorf("%w: no code", errMessage)
	}
	if err != nil {
		return stream.Verdict{}, c.explain("captured", err)
	}
	return stream.Verdict{Code: *m.Code, Words: wire.Printable(m.Words)}, nil
}

// End implements stream.VideoServer. A call that got no answer is made once more: ending twice does no
// harm.
func (c *Client) End(ctx context.Context, id, because string) error {
	path, message := "streams/"+id+"/end", endMessage{because}
	err := c.call(ctx, "end", path, message, nil)
	if errors.Is(err, stream.ErrUnreachable) && !errors.Is(err, errClosedDoor) && ctx.Err() == nil {
		err = c.call(ctx, "end", path, message, nil)
		if errors.Is(err, stream.ErrUnknown) { // the first one came through
			err = nil
		}
	}
	if err != nil {
		return c.explain("end", err)
	}
	return nil
}

func (c *Client) explain(call string, err error) error {
	return fmt.Errorf("video server %s: %s: %w", c.base.Host, call, err)
}

// call posts a message and reads the answer. An error that wraps stream.ErrUnreachable: no answer.
func (c *Client) call(ctx context.Context, name, path string, message, answer any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	to := strings.TrimSuffix(c.base.String(), "/") + "/" + path
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	if name != "begin" {
		// net/http sends it once more if the connection was just being closed; the header itself stays here.
		r.Header["Idempotency-Key"] = []string{}
	}
	got, err := c.http.Do(r)
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = got.Body.Close() }()
	said, err := io.ReadAll(io.LimitReader(got.Body, messageMax))
	if err != nil {
		return unreachable(err)
	}
	if got.StatusCode != http.StatusOK {
		return errorOf(got.StatusCode, said)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(said, answer); err != nil {
		return fmt.Errorf("%w: the answer to %s is not as it should be", errMessage, name)
	}
	return nil
}

// unreachable does not wrap what went wrong, which may be a deadline: that word is the server's own.
func unreachable(err error) error {
	var in *url.Error
	if errors.As(err, &in) {
		err = in.Err
	}
	if errors.Is(err, connectionRefused) {
		return fmt.Errorf("%w: %w", stream.ErrUnreachable, errClosedDoor)
	}
	return fmt.Errorf("%w: %v", stream.ErrUnreachable, err)
}

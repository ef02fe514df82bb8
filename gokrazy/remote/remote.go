// Package remote asks a board over its HTTPS: status, update, promote, reboot.
//
// It is the other end of camweb, for camctl. A board's certificate is known by its fingerprint
// (package certificate) and by nothing else: names, dates and authorities do not count. The password
// leaves only after the board has shown that certificate. Package api has the paths and the JSON.
//
// A Client owns nothing between two calls, and each call ends with its context. Known is the file in
// which camctl remembers fingerprints. Sizes are in bytes.
package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/krazycam/krazycam/gokrazy/api"
)

// Errors to branch on.
var (
	ErrPassword    = errors.New("the password is wrong")
	ErrNoPassword  = errors.New("this needs the board's password")
	ErrFingerprint = errors.New("the board shows another certificate than the one that is known of it")
)

// A Refusal is a board's no, in its own words.
type Refusal struct {
	Code int    // the HTTP status
	Text string // for the owner
}

func (r *Refusal) Error() string { return r.Text }

const (
	// answerTimeout is for a question that a board answers from memory. A BeagleBone that encodes
	// takes up to a second for TLS and a second for the password.
	answerTimeout = 20 * time.Second
	dialTimeout   = 10 * time.Second
	// maxAnswer bounds what is read of an answer: 50 events, two manifests.
	maxAnswer = 1 << 20
	// maxWait is the longest pause that a board may ask for after wrong passwords, and how often.
	maxWait, maxWaits = 70 * time.Second, 3
)

// A Client asks one board.
type Client struct {
	Host        string // name or address, with or without :PORT
	Fingerprint string // of its certificate, as package certificate writes it
	Password    string // "": only what a stranger may ask

	// Once keeps Update from sending a version that the board has tried before, whatever came of it: the
	// Outcome says what that was.
	Once bool

	// Dial opens connections; nil is the network's own. For tests and tunnels.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Poll is the pause between two looks at an update that is on trial; 0 is a second.
	Poll time.Duration
	// Patience is how long a board may be silent while it restarts; 0 is 10 minutes.
	Patience time.Duration
	// Stall is how long a board may take no byte of a bundle; 0 is 2 minutes, twice as long as a board
	// waits for the next one.
	Stall time.Duration
	// Writing is how long it may take to answer once it has all; 0 is 25 minutes, and a board gives up the
	// writing of a slot after 20.
	Writing time.Duration
}

// Status asks what the board says of itself: all of it with the password, without one what a stranger
// may see.
func (c *Client) Status(ctx context.Context) (s api.Status, err error) {
	err = c.ask(ctx, http.MethodGet, api.StatusPath, &s)
	return s, err
}

// Events asks for the last ones.
func (c *Client) Events(ctx context.Context) (e api.Events, err error) {
	err = c.ask(ctx, http.MethodGet, api.EventsPath, &e)
	return e, err
}

// Promote makes the slot that is on trial the one that stays.
func (c *Client) Promote(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, api.PromotePath, &api.Done{})
}

// Reboot restarts the board.
func (c *Client) Reboot(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, api.RebootPath, &api.Done{})
}

// ask sends a request without a body. A board that asks for a pause, because of wrong passwords from
// this address, gets it.
func (c *Client) ask(ctx context.Context, method, path string, answer any) error {
	for waits := 0; ; waits++ {
		wait, err := c.askOnce(ctx, method, path, answer)
		if err == nil || wait == 0 || waits == maxWaits {
			return err
		}
		if sleep(ctx, wait) != nil {
			return err
		}
	}
}

func (c *Client) askOnce(ctx context.Context, method, path string, answer any) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return c.send(ctx, method, path, http.Header{}, nil, 0, answer)
}

// send makes one request on a connection of its own: a board restarts, and a kept connection would
// then be a dead one. It does not announce that it closes the connection: a server that knows it does
// not read the rest of what it refuses, and its answer may be lost. wait is what the board asks for, at
// most maxWait.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body io.Reader, size int64,
	answer any) (wait time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+c.address()+path, body)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.Host, err)
	}
	request.Header, request.ContentLength = header, size
	if c.Password != "" {
		request.SetBasicAuth(api.User, c.Password)
	}
	transport := c.transport()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, c.explain(ctx, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, fmt.Errorf("%s: read the answer: %w", c.Host, err)
	}
	return c.understand(response, text, answer)
}

// understand reads an answer, or makes an error of it.
func (c *Client) understand(response *http.Response, text []byte, answer any) (wait time.Duration, err error) {
	switch response.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		if err := json.Unmarshal(text, answer); err != nil {
			return 0, fmt.Errorf("%s: not the answer of a krazycam: %w", c.Host, err)
		}
		return 0, nil
	case http.StatusUnauthorized:
		if c.Password == "" {
			return 0, fmt.Errorf("%s: %w", c.Host, ErrNoPassword)
		}
		return 0, fmt.Errorf("%s: %w", c.Host, ErrPassword)
	case http.StatusTooManyRequests:
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err == nil && seconds > 0 {
			wait = min(time.Duration(seconds)*time.Second, maxWait)
		}
	}
	var no api.Error
	if err := json.Unmarshal(text, &no); err != nil || no.Error == "" {
		return wait, fmt.Errorf("%s: %w", c.Host, &Refusal{response.StatusCode, "answers " + response.Status +
			" and gives no reason: is it a krazycam?"})
	}
	return wait, fmt.Errorf("%s: %w", c.Host, &Refusal{response.StatusCode, oneLine(no.Error)})
}

// explain puts an end of time in place of the words of whatever it broke off.
func (c *Client) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %v: %w", c.Host, answerTimeout, context.DeadlineExceeded)
	}
	return fmt.Errorf("%s: %w", c.Host, err)
}

func (c *Client) transport() *http.Transport {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return &http.Transport{
		DialContext:         dial,
		TLSClientConfig:     pinned(c.Fingerprint),
		TLSHandshakeTimeout: dialTimeout,
		Protocols:           onlyHTTP1(),
	}
}

func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// address adds the port that boards listen on.
func (c *Client) address() string { return withPort(c.Host) }

// withPort adds the port that boards listen on to a host that names none.
func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), api.Port)
}

// oneLine keeps a board, which may be somebody else's, from writing over an owner's terminal.
func oneLine(s string) string {
	const most = 1000
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// sleep waits, or says why it did not.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

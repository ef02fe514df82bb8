// The HTTP part of WHIP: POST an offer, DELETE the session.
// Spec: RFC 9725 sections 4.2 (POST), 4.3.1 (Location), 4.2 (DELETE).

package whip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// requestLimit is how long an endpoint may take for an answer.
	requestLimit = 10 * time.Second

	// deleteLimit is how long it may take to end a session that did not begin.
	deleteLimit = time.Second

	// answerLimit is for an SDP answer, which has 1 to 5 kB.
	answerLimit = 256 << 10

	// reasonLimit is how much of an endpoint's words goes into an error.
	reasonLimit = 200
)

// client has connections of its own, which end when they are idle. A redirect keeps method and body
// if it is 307 or 308, and the token if it stays at the host.
var client = &http.Client{Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, IdleConnTimeout: requestLimit, ForceAttemptHTTP2: true,
}}

// A resource is what an endpoint made for a session.
type resource struct {
	url   string
	token string // "": the endpoint named another host, which must not have it
}

// create posts an offer.
func create(ctx context.Context, endpoint, token, offer string) (r *resource, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	response, err := send(ctx, http.MethodPost, endpoint, token, offer)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	if err != nil {
		return nil, "", fmt.Errorf("read the endpoint's answer: %w", err)
	}
	if response.StatusCode != http.StatusCreated {
		return nil, "", fmt.Errorf("the endpoint answers %s: %s", response.Status, clip(string(b)))
	}
	if r, err = locate(response, token); err != nil {
		return nil, "", err
	}
	if len(b) > answerLimit {
		return r, "", fmt.Errorf("the endpoint's answer has more than %d bytes", answerLimit)
	}
	return r, string(b), nil
}

// locate reads where the session is. Without that it ends when the endpoint hears nothing more.
func locate(response *http.Response, token string) (*resource, error) {
	location, err := response.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the endpoint's Location: %w", err)
	}
	if location.Scheme != "http" && location.Scheme != "https" {
		return nil, fmt.Errorf("the endpoint's Location is %q: want http or https", clip(location.String()))
	}
	r := &resource{url: location.String()}
	if sameOrigin(location, response.Request.URL) {
		r.token = token
	}
	return r, nil
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }

// remove ends the session at the endpoint. One that is gone is no error.
func (r *resource) remove(ctx context.Context) error {
	response, err := send(ctx, http.MethodDelete, r.url, r.token, "")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	gone := response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone
	if response.StatusCode >= 300 && !gone {
		return fmt.Errorf("the endpoint answers DELETE with %s", response.Status)
	}
	return nil
}

func send(ctx context.Context, method, address, token, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/sdp")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	var inURL *url.Error // which may have a key of the stream
	if errors.As(err, &inURL) {
		err = fmt.Errorf("%s to %s: %w", method, r.URL.Host, inURL.Err)
	}
	return response, err
}

// clip makes a stranger's words short enough for an error of one line.
func clip(words string) string {
	words = strings.Join(strings.Fields(words), " ")
	return words[:min(len(words), reasonLimit)]
}

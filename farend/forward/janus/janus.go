// Package janus asks the streaming plugin of a Janus server, over its HTTP API, for mountpoints of
// plain RTP with VP8.
//
// A Handle is a session of Janus' with a handle of the plugin's: Janus ends it 60 s after the last
// request, which the caller prevents by asking for List. What Janus answers is a stranger's: answers are
// limited in size and time. It never sends "disable", which ends Janus 1.1.2 for all of its users. The
// package owns no goroutine.
//
// Sources: Janus' documentation of the plain HTTP REST API and of the streaming plugin; Janus 1.1.2.
package janus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// requestLimit is how long Janus may take: it answers within 5 ms.
	requestLimit = 3 * time.Second

	// answerLimit is for a list: 1,000 mountpoints take 200 kB.
	answerLimit = 4 << 20

	pluginName = "janus.plugin.streaming"
)

// Codes of Janus' and of the plugin's errors.
const (
	codeNoSession    = 458
	codeNoHandle     = 459
	codeNoMountpoint = 455 // of the plugin
	codeExists       = 456 // of the plugin
)

// Errors to branch on.
var (
	ErrExists       = errors.New("a mountpoint has this id")
	ErrNoMountpoint = errors.New("no mountpoint has this id")
	ErrSession      = errors.New("the session is over") // Janus was started again, or heard nothing for a minute
)

// An Error is what Janus refused.
type Error struct {
	Code   int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("janus refuses: %s (%d)", e.Reason, e.Code) }

// Is makes codes errors to branch on. The plugin's numbers and Janus' own do not meet.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrExists:
		return e.Code == codeExists
	case ErrNoMountpoint:
		return e.Code == codeNoMountpoint
	case ErrSession:
		return e.Code == codeNoSession || e.Code == codeNoHandle
	}
	return false
}

// A Server is where Janus is and what it wants to hear.
type Server struct {
	URL       string // base, such as http://127.0.0.1:8088/janus
	APISecret string // of its core; "": none
	AdminKey  string // of the plugin; "": none
	Client    *http.Client
}

// A Mountpoint is one as it is made or listed.
type Mountpoint struct {
	ID          uint64 `json:"id"`
	Description string `json:"description"`
	Metadata    string `json:"metadata"`
}

// Ports are where a mountpoint takes RTP and RTCP.
type Ports struct{ RTP, RTCP int }

// A Handle talks to the plugin.
type Handle struct {
	server  Server
	session string // path of it
	path    string
}

// Attach begins a session.
func (s Server) Attach(ctx context.Context) (*Handle, error) {
	id, err := s.begin(ctx, "", map[string]any{"janus": "create"})
	if err != nil {
		return nil, fmt.Errorf("begin a session: %w", err)
	}
	session := "/" + id
	id, err = s.begin(ctx, session, map[string]any{"janus": "attach", "plugin": pluginName})
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", pluginName, err)
	}
	return &Handle{server: s, session: session, path: session + "/" + id}, nil
}

// begin makes what has a number.
func (s Server) begin(ctx context.Context, path string, request map[string]any) (id string, err error) {
	a, err := s.ask(ctx, path, request)
	if err != nil {
		return "", err
	}
	if a.Data.ID == 0 {
		return "", errors.New("the answer has no id")
	}
	return fmt.Sprint(a.Data.ID), nil
}

// Detach ends the session.
func (h *Handle) Detach(ctx context.Context) error {
	_, err := h.server.ask(ctx, h.session, map[string]any{"janus": "destroy"})
	return err
}

// List is all mountpoints that Janus shows: with the admin key also private ones.
func (h *Handle) List(ctx context.Context) ([]Mountpoint, error) {
	a, err := h.message(ctx, map[string]any{"request": "list"})
	if err != nil {
		return nil, fmt.Errorf("list mountpoints: %w", err)
	}
	return a.List, nil
}

// A Request is for a new mountpoint.
type Request struct {
	Mountpoint
	Secret string // for Destroy
	Pin    string // for viewers; "": none
	Iface  string // address that it listens on; "": all
}

// Create makes a mountpoint, with ports of Janus' choice. ErrExists: its id is taken.
func (h *Handle) Create(ctx context.Context, r Request) (Ports, error) {
	media := map[string]any{"type": "video", "mid": "v", "codec": "vp8", "pt": 96, "port": 0, "rtcpport": 0}
	if r.Iface != "" {
		media["iface"] = r.Iface
	}
	body := map[string]any{
		"request": "create", "type": "rtp", "id": r.ID, "name": r.Description, "description": r.Description,
		"metadata": r.Metadata, "secret": r.Secret, "permanent": false, "media": []any{media},
	}
	if r.Pin != "" {
		body["pin"] = r.Pin
	}
	a, err := h.message(ctx, body)
	if err != nil {
		return Ports{}, fmt.Errorf("create mountpoint %d: %w", r.ID, err)
	}
	for _, p := range a.Stream.Ports {
		if p.Type == "video" && isPort(p.Port) && isPort(p.RTCP) {
			return Ports{p.Port, p.RTCP}, nil
		}
	}
	return Ports{}, fmt.Errorf("create mountpoint %d: the answer names no ports", r.ID)
}

func isPort(n int) bool { return n > 0 && n < 65536 }

// Destroy removes a mountpoint. ErrNoMountpoint: it is gone.
func (h *Handle) Destroy(ctx context.Context, id uint64, secret string) error {
	if _, err := h.message(ctx, map[string]any{"request": "destroy", "id": id, "secret": secret}); err != nil {
		return fmt.Errorf("destroy mountpoint %d: %w", id, err)
	}
	return nil
}

// message asks the plugin.
func (h *Handle) message(ctx context.Context, body map[string]any) (pluginAnswer, error) {
	if h.server.AdminKey != "" {
		body["admin_key"] = h.server.AdminKey
	}
	a, err := h.server.ask(ctx, h.path, map[string]any{"janus": "message", "body": body})
	return a.Plugin.Data, err
}

// ask sends a request to Janus' core and reads its answer.
func (s Server) ask(ctx context.Context, path string, request map[string]any) (answer, error) {
	request["transaction"] = "krazycam"
	if s.APISecret != "" {
		request["apisecret"] = s.APISecret
	}
	body, err := json.Marshal(request)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	to := strings.TrimRight(s.URL, "/") + path
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := s.Client.Do(r)
	if err != nil {
		var inURL *url.Error // whose path has the session
		if errors.As(err, &inURL) {
			err = inURL.Err
		}
		return answer{}, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, answerLimit+1))
	switch {
	case err != nil:
		return answer{}, err
	case len(b) > answerLimit:
		return answer{}, fmt.Errorf("the answer has more than %d bytes", answerLimit)
	case response.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("HTTP status %d: is this Janus' base URL?", response.StatusCode)
	}
	return parseAnswer(b)
}

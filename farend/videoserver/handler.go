// The video server's end. Test it with httptest.

package videoserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/krazycam/krazycam/farend/stream"
)

// A Handler serves a stream.VideoServer to gateways that know its token. Its paths begin with /streams:
// http.StripPrefix puts it elsewhere. The http.Server's times and a bounded listener keep strangers away.
type Handler struct {
	server stream.VideoServer
	token  [sha256.Size]byte // its hash
	log    *slog.Logger
	mux    http.ServeMux
}

// TokenMin is how many bytes a token has at least: it is the only lock of the door.
const TokenMin = 16

// ErrToken says that a token is too short.
var ErrToken = fmt.Errorf("a video server's token has at least %d characters", TokenMin)

// NewHandler serves server to whoever shows token.
func NewHandler(server stream.VideoServer, token string, log *slog.Logger) (*Handler, error) {
	if len(token) < TokenMin {
		return nil, ErrToken
	}
	h := &Handler{server: server, token: sha256.Sum256([]byte(token)), log: log}
	h.mux.HandleFunc("POST /streams", h.begin)
	h.mux.HandleFunc("POST /streams/{id}/captured", h.captured)
	h.mux.HandleFunc("POST /streams/{id}/end", h.end)
	return h, nil
}

// ServeHTTP answers one call. It reads at most 16 KiB.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !matches(bearer(r), h.token) {
		deny(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	h.mux.ServeHTTP(w, r.WithContext(ctx))
}

// bearer is the token of a request (RFC 6750 section 2.1); "" if it has none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func matches(token string, hash [sha256.Size]byte) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], hash[:]) == 1
}

func deny(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	answer(w, http.StatusUnauthorized, refusal{"token", "the token is not valid"})
}

func answer(w http.ResponseWriter, status int, message any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(message) // whoever asked is gone
}

// read takes a message.
func read(w http.ResponseWriter, r *http.Request, message any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, messageMax))
	if err != nil {
		return fmt.Errorf("%w: %w", errMessage, err)
	}
	if err := json.Unmarshal(body, message); err != nil {
		return fmt.Errorf("%w: it is not the JSON of this call", errMessage)
	}
	return nil
}

func (h *Handler) refuse(w http.ResponseWriter, call string, err error) {
	status, said := refusalOf(err)
	if status == http.StatusInternalServerError {
		h.log.Warn("video server: "+call, "error", err)
	}
	answer(w, status, said)
}

func (h *Handler) begin(w http.ResponseWriter, r *http.Request) {
	var m beginMessage
	err := read(w, r, &m)
	if err == nil && m.Profile != "" && !isPrivate(r) {
		err = fmt.Errorf("%w: keys travel over https only", errMessage)
	}
	var g stream.Grant
	if err == nil {
		g, err = m.grant()
	}
	var place stream.Place
	if err == nil {
		place, err = h.server.Begin(r.Context(), g)
	}
	if err != nil {
		h.refuse(w, "begin", err)
		return
	}
	answer(w, http.StatusOK, placeMessage(place))
}

// isPrivate says that nobody else can have read a request.
func isPrivate(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return r.TLS != nil || err == nil && from.Addr().Unmap().IsLoopback()
}

func (h *Handler) captured(w http.ResponseWriter, r *http.Request) {
	var m capturedMessage
	err := read(w, r, &m)
	var asker netip.Addr
	if err == nil {
		asker, err = parseAsker(m.Asker)
	}
	var v stream.Verdict
	if err == nil {
		v, err = h.server.Captured(r.Context(), r.PathValue("id"), asker)
	}
	if err != nil {
		h.refuse(w, "captured", err)
		return
	}
	answer(w, http.StatusOK, verdictMessage{&v.Code, v.Words})
}

func (h *Handler) end(w http.ResponseWriter, r *http.Request) {
	var m endMessage
	err := read(w, r, &m)
	if err == nil {
		err = h.server.End(r.Context(), r.PathValue("id"), m.Because)
	}
	if err != nil && !errors.Is(err, stream.ErrUnknown) { // it is over, which is what was wanted
		h.refuse(w, "end", err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

// Who asks: the administrator by a token, a customer by its API key.

package api

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

// A Caller is who asks.
type Caller struct {
	Administrator bool
	Customer      int64 // whose API key it is; 0 of the administrator
}

// sees says whether what belongs to a customer is the caller's business.
func (c Caller) sees(customer int64) bool { return c.Administrator || c.Customer == customer }

// An Authenticator says who asks. ErrNoAccess means that the request shows nothing that it knows, a *Problem
// is what to answer, and any other error is one of the store.
type Authenticator func(*http.Request) (Caller, error)

// ErrNoAccess is a request without credentials of the kind that an Authenticator looks at.
var ErrNoAccess = errors.New("the request shows no credentials")

// AdministratorSetting is the name of the store's setting that holds the SHA-256 of the administrator's
// token, in hex.
const AdministratorSetting = "administrator_token_sha256"

// tokenPrefix lets people and scanners of secrets see what a string is.
const tokenPrefix = "kca_"

// NewToken makes a token of the administrator: 256 random bits.
func NewToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // which does not fail (crypto/rand)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// secretMax is longer than any token and key.
const secretMax = 512

// Tokens authenticates by the header Authorization: Bearer. It is safe for use by several goroutines.
type Tokens struct {
	store  *store.Store
	client func(*http.Request) netip.Addr
	now    func() time.Time

	mu      sync.Mutex // guards guesses; nothing is called under it
	guesses guesses
}

// NewTokens looks tokens and keys up in s. client says from where a request came, behind proxies too; nil:
// the connection's address.
func NewTokens(s *store.Store, client func(*http.Request) netip.Addr, now func() time.Time) *Tokens {
	if client == nil {
		client = connectionOf
	}
	return &Tokens{store: s, client: client, now: now}
}

func connectionOf(r *http.Request) netip.Addr {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // an address that is none shares one place
	return from.Addr()
}

// Authenticate is an Authenticator.
func (t *Tokens) Authenticate(r *http.Request) (Caller, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	secret = strings.TrimSpace(secret)
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return Caller{}, ErrNoAccess
	}
	hash, from, now := store.HashKey(secret[:min(len(secret), secretMax)]), t.client(r), t.now()
	t.mu.Lock()
	counted, wait := t.guesses.begin(from, hash, now)
	t.mu.Unlock()
	if wait > 0 {
		p := problem(http.StatusTooManyRequests, "too-many-guesses",
			"too many wrong keys came from your address: wait; this one was not looked at")
		p.retryAfter = wait
		return Caller{}, p
	}
	caller, err := t.lookUp(r.Context(), hash)
	var refusal *Problem
	isProblem := errors.As(err, &refusal) // else nobody can say now whether the key is right
	t.mu.Lock()
	defer t.mu.Unlock()
	if counted && refusal != errWrongKey {
		t.guesses.takeBack(from, now)
	}
	if err == nil || isProblem && refusal != errWrongKey { // right, if of whoever may not any more
		t.guesses.right(hash)
	}
	return caller, err
}

var errWrongKey = problem(http.StatusUnauthorized, "wrong-key", "no customer has this API key, and it is not "+
	"the administrator's token: camserver keys list shows customers, camserver keys admin makes a token")

// lookUp finds whose secret has this hash. That a database compares hashes in variable time helps nobody:
// whoever guesses cannot choose the hash of what is guessed.
func (t *Tokens) lookUp(ctx context.Context, hash string) (Caller, error) {
	administrator, err := t.store.Setting(ctx, AdministratorSetting)
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		return Caller{}, fmt.Errorf("look up the administrator: %w", err)
	}
	if administrator != "" && subtle.ConstantTimeCompare([]byte(administrator), []byte(hash)) == 1 {
		return Caller{Administrator: true}, nil
	}
	c, err := t.store.CustomerByKey(ctx, hash)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return Caller{}, errWrongKey
	case err != nil:
		return Caller{}, fmt.Errorf("look up an API key: %w", err)
	case !c.Enabled:
		return Caller{}, problem(http.StatusForbidden, "disabled",
			"this API key is switched off: ask whoever runs the server")
	case !c.ValidUntil.IsZero() && !t.now().Before(c.ValidUntil):
		return Caller{}, problem(http.StatusForbidden, "expired",
			"this API key was valid until %s: ask whoever runs the server", c.ValidUntil.UTC().Format(time.RFC3339))
	}
	return Caller{Customer: c.ID}, nil
}

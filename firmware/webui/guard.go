// Passwords: the owner's is right at once, a stranger's guesses become slow.

package webui

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Errors of Check.
var (
	ErrNoPassword = errors.New("no password is set on this board, so nothing can be changed over the network: " +
		"write the card with camctl flash, which makes one, or put web.password-hash into its krazycam.json")
	ErrWrongPassword = errors.New("the password is wrong")
)

// A WaitError means that too many wrong passwords came from an address: the password was not looked at.
type WaitError struct{ For time.Duration }

func (e *WaitError) Error() string {
	return fmt.Sprintf("too many wrong passwords: try again in %d s", e.Seconds())
}

// Seconds is For, rounded up.
func (e *WaitError) Seconds() int { return int((e.For + time.Second - 1) / time.Second) }

const (
	// freeFailures may come from an address without any pause: somebody mistypes.
	freeFailures = 5
	// maxPause bounds what a guesser does: 2,880 guesses a day from one address. The pause begins with
	// 1 s and doubles.
	maxPause = 30 * time.Second
	// maxKnownPause is for an address from which the right password came: the owner's, even if somebody
	// behind the same router guesses.
	maxKnownPause = time.Second
	// failuresExpire after this long without another.
	failuresExpire = 15 * time.Minute
	// maxRecords bounds the memory: about 100 bytes each. Who comes on top shares one record.
	maxRecords = 256
	// maxKnownAddresses of them are the owner's.
	maxKnownAddresses = 32
	// maxPassword is what bcrypt looks at, in bytes.
	maxPassword = 72
)

// A Guard knows the hash of the password. It may be used by several goroutines.
//
// A right password is remembered as an HMAC with a key of this process: bcrypt, which takes a board up
// to a second, is paid once. Of all others one is compared at a time, so that guessing costs the stream
// at most one processor, at the lowest priority that camweb has.
type Guard struct {
	user string
	hash []byte // bcrypt's; nil: no password is set
	key  [sha256.Size]byte
	now  func() time.Time
	busy chan struct{} // holds one token while a password is compared

	mu      sync.Mutex // nothing is called under it but HMAC
	right   []byte     // HMAC of the last right password
	records map[netip.Prefix]*record
	crowd   record // of all addresses for which there is no room
}

// A record is about one address.
type record struct {
	failures int // wrong passwords, those that are being compared included
	last     time.Time
	next     time.Time // before it no password is looked at
	knownAt  time.Time // when the right password came from here last
}

// NewGuard is for one user and a bcrypt hash, "" for none.
func NewGuard(user, hash string, now func() time.Time) *Guard {
	g := &Guard{user: user, now: now, busy: make(chan struct{}, 1), records: map[netip.Prefix]*record{}}
	if hash != "" {
		g.hash = []byte(hash)
	}
	_, _ = rand.Read(g.key[:]) // which does not fail (crypto/rand)
	return g
}

// PasswordSet says whether there is a password at all.
func (g *Guard) PasswordSet() bool { return g.hash != nil }

// Check looks at what came from an address: nil, ErrNoPassword, ErrWrongPassword or a *WaitError.
// Other errors are ctx's.
func (g *Guard) Check(ctx context.Context, from netip.Addr, user, password string) error {
	if g.hash == nil {
		return ErrNoPassword
	}
	sum := g.sum(user, password)
	key := group(from)
	if done, err := g.begin(key, sum); done || err != nil {
		return err
	}
	right, err := g.compare(ctx, user, password)
	g.end(key, sum, right)
	switch {
	case err != nil:
		return err
	case !right:
		return ErrWrongPassword
	}
	return nil
}

// sum is the HMAC of user and password; the length keeps the two apart.
func (g *Guard) sum(user, password string) []byte {
	mac := hmac.New(sha256.New, g.key[:])
	fmt.Fprintf(mac, "%d:%s%s", len(user), user, password)
	return mac.Sum(nil)
}

// begin says whether the password is the one that was right before. Else it counts a failure until the
// comparison has shown otherwise, so that many at once are not one.
func (g *Guard) begin(key netip.Prefix, sum []byte) (right bool, err error) {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.record(key, now)
	if wait := r.next.Sub(now); wait > 0 {
		return false, &WaitError{wait}
	}
	if g.right != nil && subtle.ConstantTimeCompare(g.right, sum) == 1 {
		g.know(r, now)
		return true, nil
	}
	r.failures++
	r.last = now
	r.next = now.Add(r.pause())
	return false, nil
}

// pause is what comes after the failures so far.
func (r *record) pause() time.Duration {
	most := maxPause
	if !r.knownAt.IsZero() {
		most = maxKnownPause
	}
	over := r.failures - freeFailures
	switch {
	case over <= 0:
		return 0
	case over > 5: // 2^5 s are above maxPause
		return most
	}
	return min(time.Second<<(over-1), most)
}

// compare asks bcrypt, one password at a time. Whatever is wrong takes the same time.
func (g *Guard) compare(ctx context.Context, user, password string) (bool, error) {
	select {
	case g.busy <- struct{}{}:
		defer func() { <-g.busy }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	fits := len(password) <= maxPassword
	right := bcrypt.CompareHashAndPassword(g.hash, []byte(password[:min(len(password), maxPassword)])) == nil
	rightUser := subtle.ConstantTimeCompare([]byte(user), []byte(g.user)) == 1
	return fits && right && rightUser, nil
}

// end takes back the failure of a right password, and remembers it.
func (g *Guard) end(key netip.Prefix, sum []byte, right bool) {
	if !right {
		return
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.right = sum
	r := g.record(key, now)
	r.failures = max(r.failures-1, 0)
	r.next = now
	g.know(r, now)
}

// know remembers that the owner has this address. Of the crowd nobody can say that.
func (g *Guard) know(r *record, now time.Time) {
	if r != &g.crowd {
		r.knownAt = now
	}
}

// record finds or makes that of an address. When there is no room, those that expired go.
func (g *Guard) record(key netip.Prefix, now time.Time) *record {
	if r := g.records[key]; r != nil {
		if now.Sub(r.last) > failuresExpire {
			r.failures = 0
		}
		return r
	}
	if len(g.records) >= maxRecords {
		g.forget(now)
	}
	if len(g.records) >= maxRecords {
		return &g.crowd
	}
	r := &record{last: now}
	g.records[key] = r
	return r
}

// forget drops what expired, and keeps some of the owner's addresses of the last month.
func (g *Guard) forget(now time.Time) {
	known := 0
	for key, r := range g.records {
		switch {
		case now.Sub(r.last) <= failuresExpire && r.failures > 0:
		case !r.knownAt.IsZero() && now.Sub(r.knownAt) <= 30*24*time.Hour && known < maxKnownAddresses:
			known++
		default:
			delete(g.records, key)
		}
	}
}

// group is whose address counts as one: IPv4 singly, IPv6 by its network, of which everybody has
// addresses by the billion, except on the own link.
func group(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() && !a.IsLinkLocalUnicast() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // no address at all
		return netip.Prefix{}
	}
	return p
}

package webui

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const sesame = "open sesame"

// A clock is moved by the test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newGuard(t testing.TB) (*Guard, *clock) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(sesame), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{t: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)}
	return NewGuard("admin", string(hash), c.now), c
}

var (
	stranger = netip.MustParseAddr("192.0.2.1")
	owner    = netip.MustParseAddr("192.0.2.2")
)

func TestOnlyTheRightUserAndPasswordPass(t *testing.T) {
	for _, c := range []struct {
		user, password string
		want           error
	}{
		{"admin", sesame, nil},
		{"admin", sesame, nil}, // from memory
		{"admin", "sesame", ErrWrongPassword},
		{"root", sesame, ErrWrongPassword},
		{"", "", ErrWrongPassword},
		{"admi", "n" + sesame, ErrWrongPassword},
		{"admin", sesame + "\x00", ErrWrongPassword},
		{"admin", strings.Repeat("x", 5000), ErrWrongPassword},
	} {
		g, _ := newGuard(t)
		if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
			t.Fatal(err)
		}
		if err := g.Check(t.Context(), owner, c.user, c.password); !errors.Is(err, c.want) {
			t.Errorf("Check(%q, %.20q) = %v, want %v", c.user, c.password, err, c.want)
		}
	}
	if err := NewGuard("admin", "", time.Now).Check(t.Context(), owner, "admin", ""); !errors.Is(err, ErrNoPassword) {
		t.Errorf("Check without a hash = %v, want ErrNoPassword", err)
	}
}

// bcrypt looks at 72 bytes: a longer password must not pass for its beginning.
func TestPasswordBeyondWhatBcryptLooksAtIsWrong(t *testing.T) {
	long := strings.Repeat("x", 72)
	hash, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGuard("admin", string(hash), time.Now)
	if err := g.Check(t.Context(), owner, "admin", long+"y"); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("Check = %v, want ErrWrongPassword", err)
	}
	if err := g.Check(t.Context(), owner, "admin", long); err != nil {
		t.Errorf("Check of 72 bytes = %v", err)
	}
}

func TestThousandWrongPasswordsSlowTheGuesserAndNotTheOwner(t *testing.T) {
	g, c := newGuard(t)
	looked, start := 0, c.now()
	for range 1000 {
		c.add(time.Second)
		err := g.Check(t.Context(), stranger, "admin", "wrong")
		var wait *WaitError
		switch {
		case errors.As(err, &wait):
		case errors.Is(err, ErrWrongPassword):
			looked++
		default:
			t.Fatalf("Check = %v", err)
		}
		if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
			t.Fatalf("the owner, after %d guesses: %v", looked, err)
		}
	}
	if most := freeFailures + 5 + int(c.now().Sub(start)/maxPause) + 1; looked > most {
		t.Errorf("%d guesses were looked at in %v, want at most %d", looked, c.now().Sub(start), most)
	}
	c.add(maxPause)
	// The guesser's own address has to wait even with the right password: else it could guess unhindered.
	if err := g.Check(t.Context(), stranger, "admin", "wrong"); err == nil {
		t.Fatal(err)
	}
	var wait *WaitError
	if err := g.Check(t.Context(), stranger, "admin", sesame); !errors.As(err, &wait) || wait.Seconds() > 30 {
		t.Errorf("the right password from the guesser's address = %v, want a pause of at most 30 s", err)
	}
	c.add(maxPause)
	if err := g.Check(t.Context(), stranger, "admin", sesame); err != nil {
		t.Errorf("the right password after the pause = %v", err)
	}
}

func TestOwnerBehindTheGuessersRouterWaitsASecond(t *testing.T) {
	g, c := newGuard(t)
	if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		_ = g.Check(t.Context(), owner, "admin", "wrong")
		c.add(100 * time.Millisecond)
	}
	c.add(maxKnownPause)
	if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
		t.Errorf("Check = %v", err)
	}
}

func TestGuessesAtTheSameTimeAreCountedEach(t *testing.T) {
	g, _ := newGuard(t)
	var looked, waits int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := g.Check(t.Context(), stranger, "admin", "wrong")
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, ErrWrongPassword) {
				looked++
			} else {
				waits++
			}
		})
	}
	all.Wait()
	if looked != freeFailures+1 || waits != 100-looked {
		t.Errorf("%d of 100 guesses were looked at, want %d", looked, freeFailures+1)
	}
}

func TestGuessersFromManyAddressesTakeBoundedMemory(t *testing.T) {
	g, c := newGuard(t)
	if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for i := range 3000 {
		from := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if errors.Is(g.Check(t.Context(), from, "admin", "wrong"), ErrWrongPassword) {
			looked++
		}
		if i%100 == 0 {
			c.add(time.Second)
		}
	}
	if len(g.records) > maxRecords || looked > 300 {
		t.Errorf("%d records, %d guesses looked at, want at most %d and 300", len(g.records), looked, maxRecords)
	}
	if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
		t.Errorf("the owner after all that: %v", err)
	}
	c.add(failuresExpire + time.Second)
	other := netip.MustParseAddr("198.51.100.7")
	if err := g.Check(t.Context(), other, "admin", sesame); err != nil {
		t.Errorf("the owner from elsewhere, a while later: %v", err)
	}
}

func TestAddressesOfOneIPv6NetworkCountAsOne(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"fe80::1", "fe80::2", false},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
	} {
		if got := group(netip.MustParseAddr(c.a)) == group(netip.MustParseAddr(c.b)); got != c.same {
			t.Errorf("%s and %s count as one: %t, want %t", c.a, c.b, got, c.same)
		}
	}
	if group(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("no address has a group")
	}
}

// A right password is compared by bcrypt once; calibrated by that time, later ones cost nothing.
func TestRightPasswordIsPaidOnce(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte(sesame), 10)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGuard("admin", string(hash), time.Now)
	start := time.Now()
	if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
		t.Fatal(err)
	}
	first := time.Since(start)
	start = time.Now()
	for range 100 {
		if err := g.Check(t.Context(), owner, "admin", sesame); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FIGURE password: first %v, later %v each", first, time.Since(start)/100)
	if later := time.Since(start); later > first*5 {
		t.Errorf("100 checks took %v, the first one %v", later, first)
	}
}

func ExampleWaitError() {
	fmt.Println(&WaitError{1500 * time.Millisecond})
	// Output: too many wrong passwords: try again in 2 s
}

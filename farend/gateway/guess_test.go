package gateway

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

// A thousand wrong keys slow the network that guesses. They slow neither the owner elsewhere, nor who
// uses a right key from the same address, nor a board there that shows its own id with its key.
func TestGuessedKeysSlowTheGuesserOnly(t *testing.T) {
	const guesser, elsewhere, neighbour = "203.0.113.9", "198.51.100.7", "203.0.113.10"
	d := newDesk(t, Config{})
	d.addKey("second", store.Customer{Name: "second", Enabled: true})
	newID := func(key string) string { return fmt.Sprintf(`{"action":"new_utilization_id","key":%q}`, key) }
	if code, answer := d.postFrom(guesser, newID("k")); code != 0 { // a right key that is in use there
		t.Fatal(answer)
	}
	board := d.newIDOf("second") // its board moves there later
	judged := 0
	for i := range 1000 {
		switch code, _ := d.postFrom(guesser, newID(fmt.Sprintf("guess %d", i))); code {
		case 4011:
			judged++
		case codeTooMany:
		default:
			t.Fatalf("guess %d = %d", i, code)
		}
	}
	if judged != keyGuessBurst {
		t.Errorf("%d of 1,000 guesses at once were judged, want %d", judged, keyGuessBurst)
	}
	for _, c := range []struct {
		name, from, body string
		code             int
	}{
		{"the guesser finds a key that was never used there", guesser, newID("second"), codeTooMany},
		{"a right key that is in use there", guesser, newID("k"), 0},
		{"a board with its id", guesser, startBody("second", board), 0},
		{"and then its key alone", guesser, newID("second"), 0},
		{"the owner elsewhere", elsewhere, newID("second"), 0},
		{"the next address", neighbour, newID("second"), 0},
		{"one more guess", guesser, newID("x"), codeTooMany},
		{"a guess with somebody's id", guesser, startBody("x", board), codeTooMany},
	} {
		if code, answer := d.postFrom(c.from, c.body); code != c.code {
			t.Errorf("%s = %v, want %d", c.name, answer, c.code)
		}
	}
	d.advance(keyGuessInterval)
	if code, _ := d.postFrom(guesser, newID("x")); code != 4011 {
		t.Errorf("a guess after %v = %d, want it judged", keyGuessInterval, code)
	}
	t.Logf("FIGURE of 1,000 wrong keys at once %d are judged, then one in %v", judged, keyGuessInterval)
}

func TestGuessedPasswordsSlowTheGuesserOnly(t *testing.T) {
	d := newDesk(t, Config{AdminUser: "root", AdminPassword: "secret"})
	list := `{"action":"admin","user":"root","password":%q,"command":"list_keys"}`
	wrong := 0
	for i := range 100 {
		if code, _ := d.postFrom("127.0.0.1", fmt.Sprintf(list, fmt.Sprint(i))); code == 4053 {
			wrong++
		}
	}
	if wrong != adminGuessBurst {
		t.Errorf("%d of 100 passwords were judged, want %d", wrong, adminGuessBurst)
	}
	if code, _ := d.postFrom("127.0.0.1", fmt.Sprintf(list, "secret")); code != codeTooMany {
		t.Errorf("the right one after them = %d: a guesser would know", code)
	}
	if code, _ := d.postFrom("::1", fmt.Sprintf(list, "secret")); code != 0 {
		t.Errorf("from elsewhere = %d", code)
	}
}

func TestBucketFillsWithTime(t *testing.T) {
	var b bucket
	now := time.Unix(1_800_000_000, 0)
	take := func(n int) (got int) {
		for range n {
			if b.take(3, time.Second, now) {
				got++
			}
		}
		return got
	}
	for _, c := range []struct {
		wait time.Duration
		want int
	}{{0, 3}, {0, 0}, {time.Second, 1}, {2500 * time.Millisecond, 2}, {500 * time.Millisecond, 1}, {time.Hour, 3},
		{-time.Hour, 0}, {time.Second, 1}} {
		now = now.Add(c.wait)
		if got := take(10); got != c.want {
			t.Errorf("after %v more %d of 10, want %d", c.wait, got, c.want)
		}
	}
}

func TestLimitsAreForEachHostAndBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var l idLimit
	g := guessLimit{burst: 5, interval: time.Second}
	for i := range 2 * bucketsMax {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		l.take(a, now)
		g.judge(a, fmt.Sprint(i), i%2 == 0, now)
	}
	if len(l.buckets.of) > bucketsMax || len(g.buckets.of) > bucketsMax || len(g.good) > goodMax {
		t.Errorf("%d, %d buckets, %d known keys", len(l.buckets.of), len(g.buckets.of), len(g.good))
	}
	l.take(netip.MustParseAddr("11.1.1.1"), now.Add(time.Hour))
	if len(l.buckets.of) != 1 {
		t.Errorf("%d buckets after an hour, want the last", len(l.buckets.of))
	}
}

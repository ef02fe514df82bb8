// Echo requests: when they leave, what the Path hears, and a kernel that answers.

package rtpsend

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// fakeHost answers each request after a while.
type fakeHost struct {
	t      *testing.T
	after  time.Duration // 0: never
	now    func() time.Duration
	mu     sync.Mutex
	asked  []time.Duration // when requests left
	in     chan []byte
	closed chan struct{}
}

func (f *fakeHost) Send(b []byte) error {
	f.mu.Lock()
	f.asked = append(f.asked, f.now()-time.Hour)
	f.mu.Unlock()
	if len(b) != 16 || b[0] != 8 || b[1] != 0 {
		f.t.Errorf("request % x", b)
	}
	if f.after == 0 {
		return nil
	}
	answer := slices.Clone(b)
	answer[0] = 0 // an answer, RFC 792
	time.AfterFunc(f.after, func() {
		select {
		case f.in <- answer:
		case <-f.closed:
		}
	})
	return nil
}

func (f *fakeHost) Receive(b []byte, wait time.Duration) (int, error) {
	select {
	case <-f.closed:
		return 0, net.ErrClosed
	case answer := <-f.in:
		return copy(b, answer), nil
	case <-time.After(wait):
		return 0, os.ErrDeadlineExceeded
	}
}

func (f *fakeHost) Close() error { close(f.closed); return nil }

// requests is how many have left.
func (f *fakeHost) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// newEchoRig is a rig whose receiver's host answers after a while.
func newEchoRig(t *testing.T, after time.Duration, cfg Config) (*rig, *fakeHost) {
	r := newRigWith(t, cfg)
	f := &fakeHost{t: t, after: after, now: r.cfg.Monotonic, in: make(chan []byte), closed: make(chan struct{})}
	r.echo = udp.NewEcho(f, false)
	return r, f
}

// stream sends small frames at 50 fps for a while.
func (r *rig) stream(t *testing.T, length time.Duration) {
	t.Helper()
	for at := time.Duration(0); at < length; at += 20 * time.Millisecond {
		r.frame(t, false, 500)
		time.Sleep(20 * time.Millisecond)
	}
	synctest.Wait()
}

func TestPathHearsHowLongEchoesTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		r, _ := newEchoRig(t, 35*time.Millisecond, Config{Path: d})
		r.frame(t, false, 500)
		time.Sleep(10 * time.Millisecond) // from here on no frame leaves with a request
		r.stream(t, 480*time.Millisecond)
		r.Close()
		// 500 bytes in a frame, of IP 28, RTP 12 and the VP8 descriptor 4 more.
		want := []string{
			"echo at 35ms of 0s behind 544, 1088 in flight",
			"echo at 235ms of 200ms behind 5984, 1088 in flight",
			"echo at 435ms of 400ms behind 11424, 1088 in flight",
		}
		if diff := cmp.Diff(want, d.lines); diff != "" {
			t.Errorf("the path heard (-want +got):\n%s", diff)
		}
		if n := r.Stats().Echoes; n != 3 {
			t.Errorf("counted %d answers, want 3", n)
		}
	})
}

func TestEchoRequestsLeaveOnlyWhileTheyAreOfUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		r, f := newEchoRig(t, 30*time.Millisecond, Config{Path: d, TransportID: 5})
		expect := func(when string, want int) {
			t.Helper()
			if n := f.requests(); n < want-1 || n > want+1 {
				t.Errorf("%s: %d requests, want about %d", when, n, want)
			}
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		expect("before the first frame", 0)
		if f.requests() != 0 {
			t.Error("a request left before the first frame")
		}
		r.stream(t, 2*time.Second)
		expect("after 2 s", 10)
		time.Sleep(time.Minute)
		synctest.Wait()
		expect("after a minute without a frame", 11)
		r.stream(t, 2*time.Second)
		before := f.requests()
		r.feed(t, told(0, 10, 20))
		r.stream(t, 5*time.Second)
		if n := f.requests(); n > before+1 {
			t.Errorf("%d requests left after feedback on each packet came, want none", n-before)
		}
		r.Close()
		before = f.requests()
		time.Sleep(time.Minute)
		if f.requests() != before {
			t.Error("a request left after BYE")
		}
	})
}

func TestHostThatNeverAnswersIsSeldomAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const echoTries, silentInterval = 50, 10 * time.Second // as in udp
		r, f := newEchoRig(t, 0, Config{})
		r.stream(t, 2*time.Minute)
		r.Close()
		if n := f.requests(); n < echoTries || n > echoTries+15 {
			t.Errorf("%d requests in 2 minutes, want %d and one each %v", n, echoTries, silentInterval)
		}
		if n := r.Stats().Echoes; n != 0 {
			t.Errorf("%d answers of nobody", n)
		}
	})
}

func TestKernelAnswersEchoesAcrossTheLink(t *testing.T) {
	need.Root(t, "for network namespaces")
	for _, c := range []struct {
		name, sender, receiver string
		group                  string // net.ipv4.ping_group_range
		deaf                   string // the receiver's icmp_echo_ignore_all
		want                   bool
	}{
		{"IPv4", "10.77.0.1", "10.77.0.2", "0 2147483647", "0", true},
		{"IPv6", "fd00:77::1", "fd00:77::2", "0 2147483647", "0", true},
		{"not allowed to ask", "10.77.0.1", "10.77.0.2", "1 0", "0", false},
		{"a host that does not answer", "10.77.0.1", "10.77.0.2", "0 2147483647", "1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLinkOf(t, c.sender, c.receiver)
			set := func(space, key, value string) {
				run(t, exec.Command("ip", "netns", "exec", space, "sh", "-c",
					fmt.Sprintf("echo %s >/proc/sys/net/ipv4/%s", value, key)))
			}
			set(l.senderSpace, "ping_group_range", c.group)
			set(l.receiverSpace, "icmp_echo_ignore_all", c.deaf)
			s := l.openWith(t, Config{Echo: true})
			end := time.Now().Add(20 * time.Second)
			if !c.want {
				end = time.Now().Add(time.Second)
			}
			for time.Now().Before(end) && s.Stats().Echoes < 3 {
				if err := s.Send(make([]byte, 500), true, monotonic()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			if got := s.Stats().Echoes; got >= 3 != c.want || !c.want && got > 0 {
				t.Errorf("%d answers: %+v", got, s.Stats())
			}
			if s.Stats().Packets == 0 {
				t.Error("no packet left")
			}
		})
	}
}

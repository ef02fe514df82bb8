// Retransmission in plain time, with a path of a few fields. How it looks on the wire is tested
// in rtpsend.

package resend

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
)

const (
	ms   = time.Millisecond
	size = 1000 // of a packet
)

// first is a variable, so that adding to it wraps.
var first uint16 = 65534

// fakePath says what a test has it say.
type fakePath struct {
	queued, lossy bool
	answers       []uint16
}

func (p *fakePath) IsQueued(time.Duration, uint16) bool    { return p.queued }
func (p *fakePath) LosesByChance(time.Duration, bool) bool { return p.lossy }
func (p *fakePath) NoteAnswer(sequence uint16)             { p.answers = append(p.answers, sequence) }

// A bench is a Resender of packets that have left.
type bench struct {
	*Resender
	path *fakePath
	left int // packets that have left for the first time
}

func newBench(cfg Config) *bench {
	cfg.Bandwidth = max(cfg.Bandwidth, 600_000)
	path := &fakePath{}
	return &bench{Resender: New(NewHistory(first), path, cfg), path: path}
}

// send lets n packets leave for the first time at now.
func (b *bench) send(now time.Duration, n int, doubled bool) {
	for range n {
		room, sequence := b.history.Reserve()
		packet.PutHeader(room, false, false, sequence, 0, 1)
		room[packet.HeaderSize] = byte(b.left)
		b.history.QueuePacket(size, doubled)
		if sequence, doubled := b.history.PopNext(); doubled {
			b.QueueCopy(now, sequence)
		}
		b.left++
	}
}

// answers are the packets that leave at now because of a request for sequences.
func (b *bench) answers(now, rtt time.Duration, sequences ...uint16) (got []byte) {
	var requests Requests
	for _, s := range sequences {
		requests.Add(s)
	}
	b.TakeRequests(&requests, rtt)
	for {
		p, ok := b.NextAnswer(now, packet.MaxSize)
		if !ok {
			return got
		}
		b.NoteSent(p, size-packet.HeaderSize)
		got = append(got, p.Bytes[packet.HeaderSize])
	}
}

// due are the copies that leave at now.
func (b *bench) due(now time.Duration) (got []byte, wait time.Duration) {
	for {
		p, wait, ok := b.NextCopy(now, packet.MaxSize)
		if !ok {
			return got, wait
		}
		b.NoteSent(p, size-packet.HeaderSize)
		got = append(got, p.Bytes[packet.HeaderSize])
	}
}

func TestOnlyPacketsThatHaveLeftAreAnswered(t *testing.T) {
	b := newBench(Config{})
	if got := b.answers(0, 0, first, 7); len(got) != 0 {
		t.Errorf("answers % d before the first packet", got)
	}
	b.send(0, 4, false)
	b.history.Reserve()
	b.history.QueuePacket(size, false) // waits
	if got := b.answers(0, 0, 1, first, 2, 100); !slices.Equal(got, []byte{3, 0}) {
		t.Errorf("answers % d, want 3 and 0", got)
	}
	if got, want := b.TakeCounts(), (Counts{Sent: 2, Octets: 2 * (size - 12), Gone: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := b.TakeCounts(); got != (Counts{}) {
		t.Errorf("%+v is counted twice", got)
	}
}

func TestRequestIsAnsweredOnceUntilTheReceiverCouldHaveSeenTheAnswer(t *testing.T) {
	const rtt = 100 * ms
	for _, c := range []struct {
		name  string
		lossy bool
		again time.Duration // a second request that is too early, by 1 ns
	}{
		{"one on its way", false, rtt / 2},
		{"two on their way", true, rtt},
	} {
		b := newBench(Config{})
		b.path.lossy = c.lossy
		b.send(0, 1, false)
		if got := b.answers(time.Second, rtt, first); len(got) != 1 {
			t.Fatalf("%s: %d answers, want 1", c.name, len(got))
		}
		if got := b.answers(time.Second+c.again-1, rtt, first); len(got) != 0 {
			t.Errorf("%s: answered %v after the answer", c.name, c.again-1)
		}
		if got := b.answers(time.Second+c.again, rtt, first); len(got) != 1 {
			t.Errorf("%s: not answered %v after the answer", c.name, c.again)
		}
		if got := b.TakeCounts(); got.Early != 1 || got.Sent != 2 {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestNothingLeavesAgainIntoAQueue(t *testing.T) {
	b := newBench(Config{})
	b.send(0, 1, false)
	b.path.queued = true
	if got := b.answers(time.Second, 0, first); len(got) != 0 || b.TakeCounts().Early != 1 {
		t.Errorf("% d answered", got)
	}
}

func TestFirstAnswerIsDoubledWherePacketsAreLostByChance(t *testing.T) {
	for _, c := range []struct {
		name  string
		lossy bool
		want  []byte
	}{{"nothing is lost", false, nil}, {"packets are lost", true, []byte{0}}} {
		b := newBench(Config{})
		b.path.lossy = c.lossy
		b.send(0, 1, false)
		b.answers(time.Second, 0, first)
		got, wait := b.due(time.Second)
		if want := copyDelay * time.Duration(len(c.want)); len(got) != 0 || wait != want {
			t.Errorf("%s: copies % d at once, the next after %v, want %v", c.name, got, wait, want)
		}
		if got, wait := b.due(time.Second + copyDelay); !slices.Equal(got, c.want) || wait != 0 {
			t.Errorf("%s: copies % d, want % d", c.name, got, c.want)
		}
		b.answers(2*time.Second, 0, first)
		if got, _ := b.due(3 * time.Second); len(got) != 0 {
			t.Errorf("%s: the second answer has copies % d", c.name, got)
		}
		if got := b.TakeCounts().Twice; got != uint64(len(c.want)) {
			t.Errorf("%s: %d copies counted", c.name, got)
		}
	}
}

func TestKeyFrameThatIsAskedForLeavesNoThirdCopy(t *testing.T) {
	b := newBench(Config{})
	b.path.lossy = true
	b.send(0, 2, true)
	b.answers(5*ms, 0, first) // before its copy has left
	if got, _ := b.due(time.Second); !slices.Equal(got, []byte{1, 0}) {
		t.Errorf("copies % d, want that of 1 and that of the answer", got)
	}
}

func TestResendsStayWithinAQuarterOfTheBandwidth(t *testing.T) {
	b := newBench(Config{Bandwidth: 600_000})
	b.send(0, 100, false)
	var all []uint16
	for i := range uint16(100) {
		all = append(all, first+i)
	}
	now := time.Duration(0)
	for ; now <= 10*time.Second; now += 100 * ms {
		b.answers(now, 0, all...)
	}
	got := b.TakeCounts()
	// Ten seconds, and one that was saved up.
	if limit := uint64(600_000 / 8 / 4 * 11); got.Octets > limit || got.Octets < limit*9/10 || got.Limited == 0 {
		t.Errorf("%+v, want at most %d octets", got, limit)
	}
	b.SetBandwidth(now, 1_200_000)
	for end := now + 10*time.Second; now < end; now += 100 * ms {
		b.answers(now, 0, all...)
	}
	if got, limit := b.TakeCounts(), uint64(1_200_000/8/4*10); got.Octets > limit || got.Octets < limit*9/10 {
		t.Errorf("%+v, want at most %d octets", got, limit)
	}
}

func TestCopiesOfKeyFramesLeaveHalfToRequests(t *testing.T) {
	b := newBench(Config{Bandwidth: 600_000}) // 18,750 bytes in the bucket
	b.send(0, 50, true)
	copies, _ := b.due(time.Second)
	if n := len(copies); n != 10 { // down to 8,750, which is below half
		t.Errorf("%d copies left, want 10", n)
	}
	if got := b.answers(time.Second, 0, first+20, first+21); len(got) != 2 {
		t.Errorf("answers % d, want 20 and 21", got)
	}
}

func TestPacketsLeaveAgainVerbatimOrAsRTX(t *testing.T) {
	for _, c := range []struct {
		name     string
		cfg      Config
		verbatim bool
		rtx      bool
	}{
		{"in the clear", Config{}, false, false},
		{"under SRTP", Config{Verbatim: true}, true, false},
		{"RTX", Config{RTX: true, RTXSSRC: 99, RTXSequence: 65535}, false, true},
	} {
		b := newBench(c.cfg)
		b.send(0, 2, false)
		for i, sequence := range []uint16{first, first + 1} {
			was, _ := b.history.findSent(sequence)
			var requests Requests
			requests.Add(sequence)
			b.TakeRequests(&requests, 0)
			p, ok := b.NextAnswer(time.Second, packet.MaxSize)
			want := was
			if c.rtx {
				want = packet.WrapRTX(make([]byte, packet.MaxSize), was, 65535+uint16(i), 99)
			}
			if !ok || p.Verbatim != c.verbatim || !bytes.Equal(p.Bytes, want) {
				t.Errorf("%s: packet %d leaves again as % x, verbatim %v", c.name, i, p.Bytes[:16], p.Verbatim)
			}
		}
		if got := len(b.path.answers); got != map[bool]int{true: 2}[c.verbatim] {
			t.Errorf("%s: the path heard of %d answers", c.name, got)
		}
	}
}

func TestRequestsAreKeptInOrderAndBounded(t *testing.T) {
	b := newBench(Config{Bandwidth: 100_000_000})
	b.send(0, maxRequests+1, false)
	var requests Requests
	for i := range uint16(maxRequests + 1) {
		if got := requests.Add(first + i); got != (i < maxRequests) {
			t.Fatalf("request %d is taken: %v", i, got)
		}
	}
	b.TakeRequests(&requests, 0)
	if !requests.Add(first) {
		t.Error("no room after TakeRequests")
	}
	for i := range maxRequests {
		if p, ok := b.NextAnswer(time.Second, packet.MaxSize); !ok || p.Bytes[packet.HeaderSize] != byte(i) {
			t.Fatalf("answer %d is %v", i, p.Bytes)
		}
	}
	if _, ok := b.NextAnswer(time.Second, packet.MaxSize); ok {
		t.Error("more answers than requests")
	}
}

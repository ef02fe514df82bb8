package forward

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/krazycam/krazycam/farend/forward/packet"
	"github.com/krazycam/krazycam/farend/stream"
)

func TestPlainRTPIsReportedDescribedAndEnded(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			checkPlainRTP(t, address)
		})
	}
}

func checkPlainRTP(t *testing.T, address string) {
	far := listenPair(t, address)
	path := filepath.Join(t.TempDir(), "{source}-{port}.sdp")
	to := net.JoinHostPort(address, strconv.Itoa(far.port))
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: to, SDP: path}}})
	s := b.begin(t, "a/b")
	b.awaitSending(t)
	path = strings.NewReplacer("{source}", "a=2Fb", "{port}", strconv.Itoa(far.port)).Replace(path)
	sdp, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(sdp), "s=camera of a/b\r\n") {
		t.Errorf("description %q, %v", sdp, err)
	}

	src := newSource(s)
	captured := time.Now().Add(-300 * time.Millisecond)
	src.send([]byte{1, 2, 3}, captured)
	first := far.packet()
	reports, _ := far.report() // at once: the frame is not known then
	if sr, ok := reports[0].(*rtcp.SenderReport); !ok || sr.SSRC != first.SSRC || len(reports) != 2 {
		t.Fatalf("first report %v, want SR and SDES of %08x", reports, first.SSRC)
	}
	src.send([]byte{1, 2, 3, 4}, captured.Add(time.Second/clipFPS))
	if p := far.packet(); p.SequenceNumber != first.SequenceNumber+1 || p.Timestamp != first.Timestamp+3000 {
		t.Errorf("second packet %v after %v", p.Header, first.Header)
	}
	s.Close()
	reports, _ = far.report()
	sr := reports[0].(*rtcp.SenderReport)
	if _, ok := reports[len(reports)-1].(*rtcp.Goodbye); !ok || sr.PacketCount != 2 || sr.OctetCount != 2*4+7 {
		t.Errorf("last report %v, want BYE after 2 packets with 15 bytes of payload", reports)
	}
	// The report maps the capture time of the last frame to its stamp.
	seconds := float64(sr.NTPTime)/(1<<32) - 2208988800 // from 1900 to 1970
	stampOfFirst := sr.RTPTime - uint32(packet.ClockRate*(seconds-float64(captured.UnixNano())/1e9))
	if d := int32(stampOfFirst - first.Timestamp); d < -90 || d > 90 {
		t.Errorf("the report's clock is %d ticks off", d)
	}
	await(t, "the forwarding ends", func() bool { return len(b.States()) == 0 })
	if _, err := os.Stat(path); err == nil {
		t.Error("the description is still there")
	}
}

func TestAFarReceiverGetsLostPacketsAgainAndKeyFrames(t *testing.T) {
	t.Parallel()
	far := listenPair(t, "127.0.0.1")
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(far.port)}}})
	s := b.begin(t, "a")
	b.awaitSending(t)
	await(t, "a key frame for the beginning", func() bool { return b.requested("s-a") == 1 })
	src := newSource(s)
	src.send(make([]byte, 5000), time.Now())
	first := far.packet()
	for range 4 {
		far.packet()
	}
	_, from := far.report()
	missing := []uint16{first.SequenceNumber + 2, first.SequenceNumber + 1000}
	far.say(from, &rtcp.TransportLayerNack{Nacks: rtcp.NackPairsFromSequenceNumbers(missing)})
	if p := far.packet(); p.SequenceNumber != first.SequenceNumber+2 {
		t.Errorf("sent again: packet %d, want %d", p.SequenceNumber, first.SequenceNumber+2)
	}
	for range 50 {
		far.say(from, &rtcp.PictureLossIndication{MediaSSRC: first.SSRC})
	}
	far.say(from, &rtcp.ReceiverReport{Reports: []rtcp.ReceptionReport{{SSRC: first.SSRC, FractionLost: 64}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: 1e6},
		&rtcp.FullIntraRequest{FIR: []rtcp.FIREntry{{SSRC: first.SSRC}}})
	if _, err := far.rtcp.WriteToUDP([]byte("no RTCP"), from); err != nil {
		t.Fatal(err)
	}
	stranger, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, from)
	if err != nil {
		t.Skip("this system has one loopback address: ", err)
	}
	defer stranger.Close()
	if _, err := stranger.Write([]byte{0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	await(t, "everything is counted", func() bool {
		st := b.only(t)
		return st.Strangers == 1 && st.Malformed == 1
	})
	st := b.only(t)
	if st.PLIs != 51 || st.NACKs != 2 || st.Resent != 1 || st.Reports != 1 || st.Loss != 0.25 || st.REMBs != 1 ||
		st.REMB != 1e6 || st.Packets != 5 {
		t.Errorf("%+v", st)
	}
	await(t, "a key frame for the viewers", func() bool { return b.requested("s-a") >= 2 })
}

// A folder that is not there costs the description alone.
func TestAStreamIsForwardedAlsoIfItCannotBeDescribed(t *testing.T) {
	t.Parallel()
	far := listenPair(t, "127.0.0.1")
	path := filepath.Join(t.TempDir(), "gone", "{source}.sdp")
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(far.port), SDP: path}}})
	s := b.begin(t, "a")
	await(t, "the error is said", func() bool { return strings.Contains(b.only(t).Error, "describe the stream") })
	newSource(s).send([]byte{1}, time.Now())
	far.packet()
	s.(*sink).settle(0) // as watch does after each lookInterval in which all packets were taken
	if st := b.only(t); !strings.Contains(st.Error, "describe the stream") || st.Packets != 1 {
		t.Errorf("%+v, want the error to last", st)
	}
}

// Nobody listens, then somebody does: what was sent meanwhile is lost, and the state says so.
func TestARefusingHostIsSaidAndTriedAgain(t *testing.T) {
	t.Parallel()
	port := freePair(t)
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(port)}}})
	s := b.begin(t, "a")
	b.awaitSending(t)
	src := newSource(s)
	await(t, "the host refuses", func() bool {
		src.send([]byte{1}, time.Now())
		st := b.only(t)
		_, problem := s.(stream.Reporter).Report()
		return st.State == StateFailing && strings.Contains(problem, "rtp: ")
	})
	far, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Skip("somebody took the port: ", err)
	}
	defer far.Close()
	await(t, "it takes packets", func() bool {
		src.send([]byte{1}, time.Now())
		return b.only(t).State == StateSending
	})
}

func TestAStreamWithoutAPairIsSaidToHaveNoneAndGetsTheNextThatIsFree(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(freePair(t))}}})
	first := b.begin(t, "a")
	second := b.begin(t, "b")
	await(t, "the second has none", func() bool {
		_, problem := second.(stream.Reporter).Report()
		return strings.Contains(problem, errNoPair.Error())
	})
	first.Close()
	await(t, "the second has the pair of the first", func() bool {
		st := b.States()
		return len(st) == 1 && st[0].Stream == "s-b" && st[0].State == StateSending
	})
	second.Close()
	await(t, "the second is over", func() bool { return len(b.States()) == 0 })
	third := b.begin(t, "c")
	await(t, "the third has the pair", func() bool {
		st := b.States()
		return len(st) == 1 && st[0].Stream == "s-c" && st[0].State == StateSending
	})
	third.Close()
}

func TestAnswersComeToTheLocalPortOfTheRule(t *testing.T) {
	t.Parallel()
	far, local := listenPair(t, "127.0.0.1"), freePair(t)
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(far.port), Local: local}}})
	s := b.begin(t, "a")
	b.awaitSending(t)
	newSource(s).send([]byte{1}, time.Now())
	if _, from := far.report(); from.Port != local+1 {
		t.Errorf("RTCP comes from port %d, want %d", from.Port, local+1)
	}
}

// resolver answers all names with the address that is set.
func resolver(t *testing.T, address *atomic.Value) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() { // until Close
		b := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil {
				continue
			}
			m.Response = true
			m.Additionals = nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type},
					Body:   &dnsmessage.AResource{A: address.Load().([4]byte)},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: networkOf(server.LocalAddr().String())}
}

func TestANameIsLookedUpAgainWhenItsHostRefuses(t *testing.T) {
	t.Parallel()
	far := listenPair(t, "127.0.0.2")
	var address atomic.Value
	address.Store([4]byte{127, 0, 0, 1}) // nobody listens there
	rule := Rule{From: "all", RTP: "viewer.example:" + strconv.Itoa(far.port)}
	b := start(t, Config{Rules: []Rule{rule}, Resolver: resolver(t, &address)})
	s := b.begin(t, "a")
	b.awaitSending(t)
	src := newSource(s)
	await(t, "the host refuses", func() bool {
		src.send([]byte{1}, time.Now())
		return b.only(t).State == StateFailing
	})
	address.Store([4]byte{127, 0, 0, 2})
	await(t, "the name is looked up", func() bool {
		src.send([]byte{1}, time.Now())
		return b.only(t).Connections == 2
	})
	src.send([]byte{1}, time.Now())
	far.packet()
}

func TestForwardingAllocatesNothingForAPacket(t *testing.T) {
	far := listenPair(t, "127.0.0.1")
	b := start(t, Config{Rules: []Rule{{From: "all", RTP: toPort(far.port)}}})
	s := b.begin(t, "a")
	b.awaitSending(t)
	src := newSource(s)
	b1000 := src.packet(make([]byte, 1000), true)
	at := time.Now()
	n := testing.AllocsPerRun(3000, func() {
		at = at.Add(time.Millisecond) // a report is among them
		s.TakePacket(b1000, at)
		s.TakeFrame(stream.Frame{Timestamp: 1, At: at})
	})
	began := time.Now()
	for range 10_000 {
		s.TakePacket(b1000, at)
	}
	t.Logf("FIGURE forwarding by RTP: %v allocations and %.1f µs for a packet", n,
		float64(time.Since(began).Microseconds())/10_000)
	if n != 0 {
		t.Errorf("%v allocations for a packet, want none", n)
	}
	q := newQueue()
	if n := testing.AllocsPerRun(1000, func() {
		if err := q.send(b1000); err != nil {
			t.Error(err)
		}
		q.free <- <-q.full
	}); n != 0 {
		t.Errorf("%v allocations for a packet in the queue, want none", n)
	}
}

func TestAQueueThatIsFullDropsAndNeverBlocks(t *testing.T) {
	q := newQueue()
	var results []error
	for range queueSize + 2 {
		results = append(results, q.send([]byte{1}))
	}
	if slices.Index(results, errQueueFull) != queueSize {
		t.Errorf("the first of %d packets that is dropped is %d, want %d", len(results),
			slices.Index(results, errQueueFull), queueSize)
	}
}

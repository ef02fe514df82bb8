// The sender of load tests: real VP8 in many streams, from one process, with little effort.

package receiver

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/krazycam/krazycam/firmware/rtpvp8"
)

// loadVariable has the plan of a process that sends.
const loadVariable = "KRAZYCAM_SEND_LOAD"

// A loadPlan says what is sent where.
type loadPlan struct {
	Clip    string // IVF
	Seconds float64
	To      [][][2]int // for each stream, ports for RTP and RTCP on this machine
	Flood   int        // packets/s of made-up SSRCs, to the first stream's first port
}

const loadFrameRate = 30

// makeLoadClip makes 4 s of 640x480 at 300 kbit/s with libvpx.
func makeLoadClip(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.ivf")
	out, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x480:r=30", "-t", "4",
		"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k",
		"-minrate", "300k", "-maxrate", "300k", "-g", "300", "-f", "ivf", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// A loadStream is one source.
type loadStream struct {
	rtp, rtcp  *net.UDPConn
	to         [][2]netip.AddrPort
	packetizer *rtpvp8.Packetizer
	header     rtp.Header
	packet     []byte
	sent       uint64
}

// TestSendLoad is the process that sends; as a test it does nothing.
func TestSendLoad(t *testing.T) {
	text := os.Getenv(loadVariable)
	if text == "" {
		return
	}
	var p loadPlan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	clip, err := os.ReadFile(p.Clip)
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for b := clip[32:]; len(b) > 12; {
		n := 12 + binary.LittleEndian.Uint32(b)
		frames = append(frames, b[12:n])
		b = b[n:]
	}
	var streams []*loadStream
	for i, to := range p.To {
		streams = append(streams, openLoadStream(t, i, to))
	}
	if p.Flood > 0 {
		go flood(t, p.Flood, netip.AddrPortFrom(loopback, uint16(p.To[0][0][0])))
	}
	began := time.Now()
	interval := time.Second / loadFrameRate
	for i := range int(p.Seconds * loadFrameRate) {
		for k, s := range streams {
			due := time.Duration(i)*interval + time.Duration(k)*interval/time.Duration(len(streams))
			time.Sleep(due - time.Since(began))
			if i%loadFrameRate == 0 {
				s.sendReport(t)
			}
			s.sendFrame(t, frames[i%len(frames)], uint32(i*clockRate/loadFrameRate))
		}
	}
	var sent uint64
	for _, s := range streams {
		sent += s.sent
	}
	fmt.Println(sent)
}

// flood sends until the process ends.
func flood(t *testing.T, rate int, to netip.AddrPort) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Error(err)
		return
	}
	p := append([]byte{0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0x10}, make([]byte, 40)...)
	for began, sent := time.Now(), 0; ; time.Sleep(time.Millisecond) {
		for due := int(time.Since(began).Seconds() * float64(rate)); sent < due; sent++ {
			binary.BigEndian.PutUint16(p[2:], uint16(sent))
			binary.BigEndian.PutUint32(p[8:], 0x8000_0000+uint32(sent))
			if _, err := conn.WriteToUDPAddrPort(p, to); err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func openLoadStream(t *testing.T, i int, to [][2]int) *loadStream {
	t.Helper()
	s := &loadStream{packetizer: rtpvp8.NewPacketizer(1200, 0), packet: make([]byte, 1500)}
	s.header = rtp.Header{Version: 2, PayloadType: 96, SSRC: loadSSRC(i), SequenceNumber: uint16(i)}
	for _, conn := range []**net.UDPConn{&s.rtp, &s.rtcp} {
		var err error
		if *conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, ports := range to {
		s.to = append(s.to, [2]netip.AddrPort{
			netip.AddrPortFrom(loopback, uint16(ports[0])), netip.AddrPortFrom(loopback, uint16(ports[1])),
		})
	}
	return s
}

func (s *loadStream) sendFrame(t *testing.T, frame []byte, timestamp uint32) {
	s.packetizer.Start(frame)
	s.header.Timestamp = timestamp
	for last := false; !last; {
		var n int
		n, last = s.packetizer.Next(s.packet[rtpHeaderMin : rtpHeaderMin+1200])
		s.header.Marker = last
		if _, err := s.header.MarshalTo(s.packet); err != nil {
			t.Fatal(err)
		}
		s.header.SequenceNumber++
		for _, to := range s.to {
			if _, err := s.rtp.WriteToUDPAddrPort(s.packet[:rtpHeaderMin+n], to[0]); err != nil {
				t.Fatal(err)
			}
		}
		s.sent++
	}
}

func (s *loadStream) sendReport(t *testing.T) {
	b, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: s.header.SSRC, NTPTime: ntpOf(time.Now()), RTPTime: s.header.Timestamp},
		rtcp.NewCNAMESourceDescription(s.header.SSRC, "load"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range s.to {
		if _, err := s.rtcp.WriteToUDPAddrPort(b, to[1]); err != nil {
			t.Fatal(err)
		}
	}
}

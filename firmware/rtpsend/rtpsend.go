// What a stream needs to begin. Test without a network: the fakes in fake_test.go.

// Package rtpsend sends one VP8 stream to one receiver: RTP from one UDP socket, RTCP from
// another one, which also takes the receiver's reports.
//
// It is the last stage of the flow: frames come from the encoder, rtpvp8 cuts them, and what the
// receiver answers comes out as KeyFrameWanted, as Stats, and through Path. A Sender owns its
// sockets and, from the first frame to Close, its goroutines: one exchanges RTCP, one sends
// packets that must wait for their time or are asked for again, and one asks the receiver's host
// for echoes if the Config says so. What needs no socket is in packages of its own below this one.
//
// Times of pictures are CLOCK_MONOTONIC, RTP timestamps 1/90000 s, rates bit/s, loss a fraction
// from 0 to 1. The wall clock is written into sender reports and capture times and used for
// nothing else: these boards learn the time of day when they have been streaming for a while, and
// a jump of hours must not move a timestamp or a timer.
//
// Sources: RFC 3550 sections 5 and 6 (RTP, RTCP), RFC 3551, RFC 7741 (VP8), RFC 4585 sections 6.2.1
// and 6.3.1 (NACK, PLI), RFC 4588 (RTX), RFC 5104 section 4.3.1 (FIR), RFC 5506 (reduced size),
// RFC 8083 (circuit breaker), RFC 3711 (SRTP), RFC 4566 (SDP),
// draft-holmer-rmcat-transport-wide-cc-extensions-01 (transport-wide feedback).
package rtpsend

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/rtpsend/departures"
	"github.com/krazycam/krazycam/firmware/rtpsend/packet"
	"github.com/krazycam/krazycam/firmware/rtpsend/pathsize"
	"github.com/krazycam/krazycam/firmware/rtpsend/udp"
)

// DefaultBandwidth is the session's bandwidth, in bit/s, if the Config names none.
const DefaultBandwidth = 600_000

var (
	// ErrClosed is the cause of errors after Close.
	ErrClosed = errors.New("sender is closed")

	// ErrAddress is the cause of errors about an address that cannot be sent to.
	ErrAddress = errors.New("not an address to send to")
)

// A Path hears what leaves and what the receiver reports of it. Calls come one at a time, from
// three goroutines and under locks, so a Path must neither block, nor log, nor call back.
type Path = departures.Path

// First holds the values that RFC 3550 section 5.1 wants random. Tests set them to
// see both counters wrap.
type First struct {
	SSRC      uint32
	Sequence  uint16
	Timestamp uint32
	PictureID uint16 // 15 bits

	RTXSSRC     uint32 // of packets that are sent again by RFC 4588
	RTXSequence uint16
}

// A Config says where to, and under which name. Only RTP and RTCP are required.
type Config struct {
	RTP, RTCP     netip.AddrPort // the receiver's; both IPv4 or both IPv6; equal: rtcp-mux (RFC 5761)
	LocalRTCPPort int            // 0: any free one
	CNAME         string         // at most 255 bytes; empty: a random one (RFC 7022 section 4.2)
	SSRC          uint32         // 0: random, or First's
	Bandwidth     int            // bit/s, of which RTCP takes at most 5 %, resends 25 %; 0: DefaultBandwidth
	MTU           int            // bytes of the largest IP packet, to 1500; 0: pathsize.DefaultDatagram and headers
	Ceiling       *Ceiling       // of IP packets with RTP, those sent again included, and echo requests; nil: none
	Unpaced       bool           // large frames leave at once: for a file that is sent as fast as it can be
	SRTP          *Keys          // nil: in the clear
	RTX           bool           // the receiver knows RFC 4588: resends are packets of packet.RTXPayloadType

	// IDs of header extensions, 1 to 14; 0: none. CaptureTimeID is of ntp-64 in each frame's
	// first packet, TransportID of transport-wide numbers; without that, no feedback about them
	// is read.
	CaptureTimeID, TransportID uint8

	Echo  bool   // ask the receiver's host for echoes while nothing better shows Path a queue
	Path  Path   // hears what becomes of the packets; nil: nobody
	Doubt func() // called, at most once in 5 s, when the receiver may be gone; must not block; nil: nobody cares

	Log       *slog.Logger         // nil: silent
	Now       func() time.Time     // wall clock for sender reports; nil: time.Now
	Monotonic func() time.Duration // the clock of Send's at; nil: CLOCK_MONOTONIC
	First     *First               // nil: random

	srtp *srtpContext // made of SRTP by complete
}

// Open makes the sockets. Nothing is sent before the first frame, so a receiver whose
// gateway has not granted the stream hears nothing.
func Open(cfg Config) (*Sender, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("rtpsend: %w", err)
	}
	conn, reports, err := udp.Open(udp.Config{
		RTP: cfg.RTP, RTCP: cfg.RTCP, LocalRTCPPort: cfg.LocalRTCPPort, Queue: cfg.socketQueue(), Log: cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("rtpsend: %w", err)
	}
	s := newSender(cfg, conn, reports)
	if cfg.Echo {
		if s.echo, err = udp.OpenEcho(cfg.RTP.Addr()); err != nil { // reports have to do
			cfg.Log.Debug("no echo requests", "error", err)
		}
	}
	return s, nil
}

// complete checks what the caller set and fills in what it left out.
func (c *Config) complete() error {
	for _, a := range []netip.AddrPort{c.RTP, c.RTCP} {
		if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() {
			return fmt.Errorf("receiver %v: %w", a, ErrAddress)
		}
	}
	c.RTP, c.RTCP = unmap(c.RTP), unmap(c.RTCP)
	if c.RTP.Addr().Is4() != c.RTCP.Addr().Is4() {
		return fmt.Errorf("RTP to %v, RTCP to %v: two IP versions: %w", c.RTP, c.RTCP, ErrAddress)
	}
	if c.LocalRTCPPort < 0 || c.LocalRTCPPort > 65535 {
		return fmt.Errorf("local RTCP port %d: %w", c.LocalRTCPPort, ErrAddress)
	}
	if c.MTU != 0 && (c.MTU < pathsize.Small || c.MTU > pathsize.Largest) {
		return fmt.Errorf("IP packets of %d bytes: want %d to %d", c.MTU, pathsize.Small, pathsize.Largest)
	}
	if len(c.CNAME) > 255 {
		return fmt.Errorf("CNAME of %d bytes, at most 255 fit into SDES", len(c.CNAME))
	}
	same := c.CaptureTimeID != 0 && c.CaptureTimeID == c.TransportID
	if same || max(c.CaptureTimeID, c.TransportID) > packet.MaxExtensionID {
		return fmt.Errorf("header extension IDs %d and %d: want two of 1 to %d",
			c.CaptureTimeID, c.TransportID, packet.MaxExtensionID)
	}
	if c.Doubt == nil {
		c.Doubt = func() {}
	}
	if c.Bandwidth <= 0 {
		c.Bandwidth = DefaultBandwidth
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Monotonic == nil {
		c.Monotonic = monotonic
	}
	c.randomize()
	if c.SRTP == nil {
		return nil
	}
	var err error
	c.srtp, err = newSRTPContext(c.SRTP)
	return err
}

// randomize chooses what must not be guessed or collide. crypto/rand never fails.
func (c *Config) randomize() {
	var b [32]byte
	_, _ = rand.Read(b[:])
	if c.First == nil {
		c.First = &First{
			SSRC:      binary.BigEndian.Uint32(b[0:]),
			Sequence:  binary.BigEndian.Uint16(b[4:]),
			Timestamp: binary.BigEndian.Uint32(b[6:]),
			PictureID: binary.BigEndian.Uint16(b[10:]) & 0x7fff,

			RTXSSRC:     binary.BigEndian.Uint32(b[24:]),
			RTXSequence: binary.BigEndian.Uint16(b[28:]),
		}
	}
	if c.SRTP != nil {
		// RFC 3711 section 3.3.1: a receiver that misses the first packets before a wrap
		// would count the wraps one behind for ever.
		c.First.Sequence &= 0x7fff
	}
	if c.SSRC != 0 {
		c.First.SSRC = c.SSRC
	}
	if c.CNAME == "" {
		c.CNAME = base64.StdEncoding.EncodeToString(b[12:24]) // 96 bits, RFC 7022 section 5
	}
}

// socketQueue is how many bytes may wait in this machine; 0: a file has time.
func (c *Config) socketQueue() int {
	if c.Unpaced {
		return 0
	}
	return udp.QueueFor(c.Bandwidth)
}

// usesMux says that RTP and RTCP share a port.
func (c *Config) usesMux() bool { return c.RTP == c.RTCP }

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// monotonic is the clock that stamps buffers in the kernel. It stands still for no
// setting of the wall clock.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // Linux knows this clock since 2.6: cannot happen
	}
	return time.Duration(t.Nano())
}

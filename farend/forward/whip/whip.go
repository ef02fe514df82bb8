// Package whip publishes VP8 to a WHIP endpoint by WebRTC, for farend/forward. It is the seam to
// pion/webrtc, which only camserver links.
//
// Publish offers one video track with all of this machine's addresses in the offer, so nothing is
// trickled; an endpoint must be reachable without STUN or TURN. A session owns what pion starts for it
// and one goroutine that reads RTCP; Close ends both. NACKs are answered and sender reports made by
// pion's interceptors.
//
// Sources: RFC 9725 (WHIP), RFC 8829 (JSEP), RFC 7741 (VP8).
package whip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"github.com/krazycam/krazycam/farend/forward"
)

const (
	payloadType = 96
	clockRate   = 90000

	// An endpoint that is silent for quietLimit, and for lostLimit more, is gone. It is asked whether
	// it lives every keepAlive (RFC 7675 asks every 5 s).
	quietLimit = 4 * time.Second
	lostLimit  = 4 * time.Second
	keepAlive  = time.Second
)

// A Session is a stream at an endpoint.
type Session struct {
	connection *webrtc.PeerConnection
	track      *webrtc.TrackLocalStaticRTP
	resource   *resource
	connected  chan struct{}
	done       chan struct{}
	reader     sync.WaitGroup

	connectedOnce, doneOnce sync.Once
}

var (
	_ forward.PublishFunc = Publish
	_ forward.Publication = (*Session)(nil)
)

// Publish begins a session and returns once packets can be sent.
func Publish(ctx context.Context, r forward.PublishRequest) (forward.Publication, error) {
	s := &Session{connected: make(chan struct{}), done: make(chan struct{})}
	if err := s.open(r); err != nil {
		return nil, fmt.Errorf("whip: %w", err)
	}
	if err := s.begin(ctx, r); err != nil {
		// The limit that is over must not keep the endpoint from hearing of the end.
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteLimit)
		defer cancel()
		_ = s.Close(ending) // err says more
		return nil, fmt.Errorf("whip: %w", err)
	}
	return s, nil
}

// open makes the connection and its track.
func (s *Session) open(r forward.PublishRequest) error {
	api, err := newAPI(isLoopback(r.URL))
	if err != nil {
		return err
	}
	if s.connection, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return err
	}
	s.connection.OnConnectionStateChange(s.follow)
	codec := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: clockRate}
	if s.track, err = webrtc.NewTrackLocalStaticRTP(codec, "video", r.Name); err != nil {
		return errors.Join(err, s.connection.Close())
	}
	t, err := s.connection.AddTransceiverFromTrack(s.track,
		webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return errors.Join(err, s.connection.Close())
	}
	s.reader.Go(func() { readFeedback(t.Sender(), r.Feedback) })
	return nil
}

// newAPI knows VP8, resends and reports.
func newAPI(loopback bool) (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"},
		{Type: "goog-remb"}}
	if err := media.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeVP8, ClockRate: clockRate, RTCPFeedback: feedback,
		},
		PayloadType: payloadType,
	}, webrtc.RTPCodecTypeVideo); err != nil {
		return nil, err
	}
	chain := &interceptor.Registry{}
	if err := webrtc.ConfigureNack(media, chain); err != nil {
		return nil, err
	}
	if err := webrtc.ConfigureRTCPReports(chain); err != nil {
		return nil, err
	}
	var settings webrtc.SettingEngine
	settings.SetICETimeouts(quietLimit, lostLimit, keepAlive)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled) // a server need not hide its address
	settings.SetIncludeLoopbackCandidate(loopback)
	// It would write to standard output. What went wrong comes back as errors.
	settings.LoggerFactory = &logging.DefaultLoggerFactory{
		Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled,
	}
	return webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(chain),
		webrtc.WithSettingEngine(settings)), nil
}

// isLoopback says whether the endpoint is on this machine.
func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// begin offers the track to the endpoint and waits for the connection.
func (s *Session) begin(ctx context.Context, r forward.PublishRequest) error {
	offer, err := s.connection.CreateOffer(nil)
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(s.connection)
	if err := s.connection.SetLocalDescription(offer); err != nil {
		return err
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return fmt.Errorf("find this machine's addresses: %w", ctx.Err())
	}
	answer, err := s.post(ctx, r)
	if err != nil {
		return err
	}
	err = s.connection.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer})
	if err != nil {
		return fmt.Errorf("the endpoint's answer: %w", err)
	}
	select {
	case <-s.connected:
		return nil
	case <-s.done:
		return errors.New("the endpoint answered, but no way to its addresses was found")
	case <-ctx.Done():
		return fmt.Errorf("connect to the addresses in the endpoint's answer: %w", ctx.Err())
	}
}

func (s *Session) post(ctx context.Context, r forward.PublishRequest) (answer string, err error) {
	s.resource, answer, err = create(ctx, r.URL, r.Token, s.connection.LocalDescription().SDP)
	return answer, err
}

// follow is called by pion when the connection's state changes.
func (s *Session) follow(state webrtc.PeerConnectionState) {
	switch state {
	case webrtc.PeerConnectionStateConnected:
		s.connectedOnce.Do(func() { close(s.connected) })
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		s.doneOnce.Do(func() { close(s.done) })
	}
}

// readFeedback reads RTCP until the connection is closed.
func readFeedback(sender *webrtc.RTPSender, take func([]rtcp.Packet)) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		take(packets)
	}
}

// WriteRTP sends a packet. The track's SSRC and payload type replace its own.
func (s *Session) WriteRTP(packet []byte) error {
	_, err := s.track.Write(packet)
	return err
}

// Done is closed when the endpoint is gone or ended the session.
func (s *Session) Done() <-chan struct{} { return s.done }

// Close ends the session at the endpoint and here, and waits for its goroutines.
func (s *Session) Close(ctx context.Context) error {
	var err error
	if s.resource != nil {
		err = s.resource.remove(ctx)
	}
	err = errors.Join(err, s.connection.GracefulClose())
	s.reader.Wait()
	return err
}

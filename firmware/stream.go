// One stream: what a grant permits, from the first packet to BYE. Owns the encoder,
// the sender with its sockets, and the goroutine that feeds them.

package firmware

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/firmware/rtpsend"
	"github.com/krazycam/krazycam/v4l2"
)

// A stream connects a pipeline to one receiver after the other: it is the
// gateway.Stream of a session. Begin and End come in turn from one goroutine.
type stream struct {
	source   *Source
	pipeline *pipeline.Pipeline
	camera   string // in words, for the machine line

	doubt  func()          // the receiver may be gone; nil: nobody to ask
	sender *rtpsend.Sender // what Begin started; nil when nothing runs
	ended  func() error    // stops it; nil when nothing runs
	failed func(error)     // called when the encoder fails
}

// Begin starts to send to the grant's receiver.
func (st *stream) Begin(_ context.Context, g gateway.Grant) error {
	enc, err := st.source.newEncoder(st.pipeline)
	if err != nil {
		return err
	}
	network := newNetwork(int(st.source.Config.Stream.Bitrate), st.source.Stages(), st.source.Log)
	to := st.source.senderConfig(g)
	to.Path, to.Doubt = network, st.doubt
	sender, err := rtpsend.Open(to)
	if err != nil {
		enc.Close()
		return err
	}
	if err := st.source.describe(sender.SDP()); err != nil {
		enc.Close()
		return errors.Join(err, sender.Close())
	}
	end := st.feed(enc, &announcer{Sender: sender, network: network, stream: st, grant: g}, sender.Close)
	st.sender = sender
	st.ended = func() error {
		defer enc.Close()
		return end()
	}
	return nil
}

// grace is how long the frame on its way may take at the end before the sockets are
// closed under it: Send waits while the kernel's queue is full, which on a Wi-Fi that
// has stalled is for ever, and of the 2 s at SIGTERM stop_stream may need 1.8.
const grace = 100 * time.Millisecond

// feed encodes for sink until end is called, which closes the sink.
func (st *stream) feed(enc *encoder.Encoder, sink pipeline.Sink, closeSink func() error) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := st.pipeline.Encode(ctx, enc, sink)
		if ctx.Err() != nil {
			err = nil // that of a frame whose sink was closed
		}
		if err != nil && st.failed != nil {
			st.failed(err)
		}
		done <- err
	}()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return errors.Join(err, closeSink())
		case <-time.After(grace):
			err := closeSink() // ends the Send that waits
			return errors.Join(<-done, err)
		}
	}
}

// KeyFrame makes the next picture a key frame.
func (st *stream) KeyFrame() {
	if st.sender != nil {
		st.sender.ForceKeyFrame()
	}
}

// End sends BYE and returns once no packet will leave any more.
func (st *stream) End() {
	if st.ended == nil {
		return
	}
	if err := st.ended(); err != nil {
		st.source.Log.Warn("stream ended", "because", err)
	}
	st.sender, st.ended = nil, nil
}

// An announcer is the sender of one stream, which says when the first frame is out.
type announcer struct {
	*rtpsend.Sender
	network *network // nil: the owner's rate, whatever the network says
	paced   int      // bit/s that packets are paced for; 0: the owner's
	stream  *stream
	grant   gateway.Grant
	said    bool
}

// Advise asks the network, and paces packets by what it says.
func (a *announcer) Advise(now time.Duration) (bitrate int, hold bool) {
	if a.network == nil {
		return 0, false
	}
	bitrate, hold = a.network.Advise(now)
	if bitrate != a.paced {
		a.SetRate(bitrate)
		a.paced = bitrate
	}
	return bitrate, hold
}

// Send sends a frame; after the first it says so to machines.
func (a *announcer) Send(frame []byte, key bool, at time.Duration) error {
	if err := a.Sender.Send(frame, key, at); err != nil {
		return err
	}
	if !a.said {
		a.said = true
		a.stream.announce(a.grant, a.SSRC(), v4l2.Now()-at)
	}
	return nil
}

// announce gives the machine line its fields. uptime is what the boards' boot
// times are measured with: seconds since the kernel started.
func (st *stream) announce(g gateway.Grant, ssrc uint32, age time.Duration) {
	s, size := st.source, st.pipeline.Size()
	s.Log.Info("streaming", "to", g.RTP, "camera", st.camera, "first_frame_age", age.Round(time.Microsecond))
	if s.Ready != nil {
		s.Ready(fmt.Sprintf("rtp=%v rtcp=%v size=%dx%d ssrc=%08x uptime=%.3f", g.RTP, g.RTCP, size.X, size.Y, ssrc, v4l2.Now().Seconds()))
	}
}

// newEncoder makes an encoder whose first frame is a key frame.
func (s *Source) newEncoder(p *pipeline.Pipeline) (*encoder.Encoder, error) {
	c := s.Config.Stream
	return encoder.New(encoder.Config{
		Width: p.Size().X, Height: p.Size().Y, FPS: p.FPS(),
		Bitrate: encoder.Bitrate(c.Bitrate), Speed: c.Speed, Threads: c.Threads,
	})
}

func (s *Source) senderConfig(g gateway.Grant) rtpsend.Config {
	c := rtpsend.Config{
		RTP: g.RTP, RTCP: g.RTCP, SSRC: g.SSRC, CNAME: s.Name, Bandwidth: int(s.Config.Stream.Bitrate), Unpaced: s.Unpaced,
		Log: s.Log, Monotonic: v4l2.Now, LocalRTCPPort: s.Config.Stream.LocalRTCPPort,
		Echo: s.Config.Stream.Ping && !s.Unpaced,
	}
	agree(&c, g.Agreed, s.Config.Stream)
	if g.SRTP != nil {
		c.SRTP = &rtpsend.Keys{Profile: g.SRTP.Profile, Ours: g.SRTP.Source, Theirs: g.SRTP.Receiver}
	}
	return c
}

// The header extensions' IDs where the owner vouches for the receiver, who reads them in
// the SDP. A gateway chooses its own.
const (
	captureTimeID = 4
	transportID   = 5
)

// agree switches on what the receiver can do, by the word of its gateway or of the owner.
func agree(c *rtpsend.Config, g gateway.Agreed, owner config.Stream) {
	c.RTX = g.RTX || owner.RTX
	c.TransportID, c.CaptureTimeID = g.Transport, g.CaptureTime
	if c.TransportID == 0 && owner.TWCC && c.CaptureTimeID != transportID {
		c.TransportID = transportID
	}
	if c.CaptureTimeID == 0 && owner.CaptureTime && c.TransportID != captureTimeID {
		c.CaptureTimeID = captureTimeID
	}
}

// measure streams a file as fast as the encoder goes, once, in lock step.
func (s *Source) measure(ctx context.Context, p *pipeline.Pipeline, camera pipeline.Camera) error {
	g, err := s.direct(ctx)
	if err != nil {
		return err
	}
	st := &stream{source: s, pipeline: p, camera: camera.String()}
	enc, err := s.newEncoder(p)
	if err != nil {
		return err
	}
	defer enc.Close()
	sender, err := rtpsend.Open(s.senderConfig(g))
	if err != nil {
		return err
	}
	if err := s.describe(sender.SDP()); err != nil {
		return errors.Join(err, sender.Close())
	}
	err = p.EncodeFile(ctx, camera, enc, &announcer{Sender: sender, stream: st, grant: g})
	return errors.Join(err, sender.Close())
}

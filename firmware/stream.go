// One stream: what a grant permits, from the first packet to BYE. Owns the encoder, the sender
// with its sockets, and the goroutine that feeds them.

package firmware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/pipeline"
	"github.com/krazycam/krazycam/firmware/rtpsend"
	"github.com/krazycam/krazycam/v4l2"
)

// lastFrameTimeout is how long the frame on its way may take at the end before the sockets are
// closed under it. Send waits while the kernel's queue is full, on a stalled Wi-Fi for ever; and
// of the second in which camsource ends, stop_stream may need 0.8.
const lastFrameTimeout = 100 * time.Millisecond

// A stream connects a pipeline to one receiver after the other: it is the gateway.Stream of a
// session. Begin and End come in turn from one goroutine.
type stream struct {
	source   *Source
	pipeline *pipeline.Pipeline
	camera   string      // in words, for the log
	doubt    func()      // the receiver may be gone; nil: nobody to ask
	failed   func(error) // called when the encoder fails; nil: nobody wants to know

	// What Begin started; nil while nothing runs.
	sender *rtpsend.Sender
	stop   func() error
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
	if err := st.source.writeSDP(sender.SDP()); err != nil {
		enc.Close()
		return errors.Join(err, sender.Close())
	}
	sink := &streamSink{Sender: sender, network: network, stream: st, grant: g}
	stopEncoding := st.startEncoding(enc, sink, sender.Close)
	st.sender = sender
	st.source.vitals.beginStream(sender)
	st.stop = func() error {
		defer enc.Close()
		defer network.reportCuts() // those after the last picture
		defer st.source.Stages().NoteOutage("")
		defer st.source.vitals.endStream()
		return stopEncoding()
	}
	return nil
}

// KeyFrame makes the next picture a key frame.
func (st *stream) KeyFrame() {
	if st.sender != nil {
		st.sender.ForceKeyFrame()
	}
}

// End sends BYE and returns once no packet will leave any more.
func (st *stream) End() {
	if st.stop == nil {
		return
	}
	if err := st.stop(); err != nil {
		st.source.Log.Warn("stream ended", "error", err)
	}
	st.sender, st.stop = nil, nil
}

// startEncoding encodes for sink, in a goroutine of its own, until stop is called. stop closes
// the sink and waits for the goroutine.
func (st *stream) startEncoding(enc *encoder.Encoder, sink pipeline.Sink, closeSink func() error) (
	stop func() error) {
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
		case <-time.After(lastFrameTimeout):
			err := closeSink() // ends the Send that waits
			return errors.Join(<-done, err)
		}
	}
}

// A streamSink is where the frames of one stream go: its sender, paced as the network advises.
// It reports the first frame.
type streamSink struct {
	*rtpsend.Sender
	network   *network // nil: the owner's rate, whatever the network says
	pacedRate int      // bit/s that packets are paced for; 0: the owner's
	stream    *stream
	grant     gateway.Grant
	reported  bool
	outage    rtpsend.Outage // as the stages know it
}

// Advise asks the network, and paces packets by its answer. A picture is also left out while as much
// has left as the owner allows.
func (k *streamSink) Advise(now time.Duration) (bitrate int, hold bool) {
	if k.network == nil {
		return 0, false
	}
	bitrate, hold = k.network.Advise(now)
	if bitrate != k.pacedRate {
		k.SetRate(bitrate)
		k.pacedRate = bitrate
	}
	return bitrate, hold || k.MustHold()
}

// Send sends a frame, and reports the first and what keeps any from the receiver.
func (k *streamSink) Send(frame []byte, key bool, at time.Duration) error {
	if err := k.Sender.Send(frame, key, at); err != nil {
		return err
	}
	if outage := k.Outage(); outage != k.outage {
		k.outage = outage
		k.stream.source.Stages().NoteOutage(outage.String())
	}
	if !k.reported {
		k.reported = true
		k.stream.reportFirstFrame(k.grant, k.SSRC(), v4l2.Now()-at)
	}
	return nil
}

// reportFirstFrame logs that the stream runs and gives the machine line its fields. uptime is
// what the boards' boot times are measured with: seconds since the kernel started.
func (st *stream) reportFirstFrame(g gateway.Grant, ssrc uint32, age time.Duration) {
	s, size := st.source, st.pipeline.Size()
	s.Log.Info("streaming", "to", g.RTP, "camera", st.camera, "first_frame_age", age.Round(time.Microsecond))
	if s.Ready != nil {
		s.Ready(fmt.Sprintf("rtp=%v rtcp=%v size=%dx%d ssrc=%08x uptime=%.3f",
			g.RTP, g.RTCP, size.X, size.Y, ssrc, v4l2.Now().Seconds()))
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
	owner := s.Config.Stream
	c := rtpsend.Config{
		RTP: g.RTP, RTCP: g.RTCP, LocalRTCPPort: owner.LocalRTCPPort, SSRC: g.SSRC, CNAME: s.CNAME,
		Bandwidth: int(owner.Bitrate), MTU: owner.MTU, Unpaced: s.Unpaced, Echo: owner.Ping && !s.Unpaced,
		Monotonic: v4l2.Now, Log: s.Log,
	}
	if !s.Unpaced { // a file is sent as fast as the encoder goes
		if s.ceiling == nil {
			s.ceiling = rtpsend.NewCeiling(int(owner.Bitrate))
		}
		c.Ceiling = s.ceiling
	}
	applyAgreed(&c, g.Agreed, owner)
	if g.SRTP != nil {
		c.SRTP = &rtpsend.Keys{Profile: g.SRTP.Profile, Ours: g.SRTP.Source, Theirs: g.SRTP.Receiver}
	}
	return c
}

// IDs of header extensions where the owner vouches for the receiver, who reads them in the SDP.
// A gateway chooses its own.
const (
	captureTimeExtensionID = 4
	transportExtensionID   = 5
)

// applyAgreed switches on what the receiver can do, by the word of its gateway or of the owner.
func applyAgreed(c *rtpsend.Config, g gateway.Agreed, owner config.Stream) {
	c.RTX = g.RTX || owner.RTX
	c.TransportID, c.CaptureTimeID = g.Transport, g.CaptureTime
	if c.TransportID == 0 && owner.TWCC && c.CaptureTimeID != transportExtensionID {
		c.TransportID = transportExtensionID
	}
	if c.CaptureTimeID == 0 && owner.CaptureTime && c.TransportID != captureTimeExtensionID {
		c.CaptureTimeID = captureTimeExtensionID
	}
}

// writeSDP writes the description of a stream, whole, in one call of Write.
func (s *Source) writeSDP(sdp string) error {
	if s.SDP == nil {
		return nil
	}
	if _, err := io.WriteString(s.SDP, sdp); err != nil {
		return fmt.Errorf("write SDP: %w", err)
	}
	return nil
}

// streamFile sends a file to the owner's addresses as fast as the encoder goes, once, in one
// goroutine.
func (s *Source) streamFile(ctx context.Context, p *pipeline.Pipeline, camera pipeline.Camera) error {
	g, err := s.resolveOwnersGrant(ctx)
	if err != nil {
		return err
	}
	enc, err := s.newEncoder(p)
	if err != nil {
		return err
	}
	defer enc.Close()
	sender, err := rtpsend.Open(s.senderConfig(g))
	if err != nil {
		return err
	}
	if err := s.writeSDP(sender.SDP()); err != nil {
		return errors.Join(err, sender.Close())
	}
	st := &stream{source: s, pipeline: p, camera: camera.String()}
	err = p.EncodeFile(ctx, camera, enc, &streamSink{Sender: sender, stream: st, grant: g})
	return errors.Join(err, sender.Close())
}

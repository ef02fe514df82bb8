// usbredir: isochronous streams. Each owns a goroutine that sends a packet for each microframe,
// an empty one while no picture is due: QEMU counts a missing one as lost. Sources: usbredir
// protocol 0.7, packets start_iso_stream and iso_packet; USB 2.0 section 5.6.

package virtualcam

import (
	"encoding/binary"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

const (
	microframe = 125 * time.Microsecond
	// isoBurstPackets is how many packets are sent at once at least: timers are no finer than
	// a millisecond on every system.
	isoBurstPackets = 8
	// maxIsoDelay is how late a stream may be before it continues from now instead of sending
	// a burst of outdated packets.
	maxIsoDelay = 100 * time.Millisecond
)

// isochronousPayload is how many bytes of a microframe the camera asks for: JPEGs need only the
// narrow alternate setting, 8.2 MB/s, which leaves room on the bus for another camera.
func isochronousPayload(f pixfmt.FourCC) uint32 {
	if f == pixfmt.MJPG {
		return narrowPacketSize
	}
	return widePacketSize
}

// packetLimit is the maximum of bytes of a packet in the present alternate setting.
func (r *redirection) packetLimit() int {
	if r.setting > 1 {
		return widePacketSize
	}
	return narrowPacketSize
}

// startIsoStream starts a stream. Body: endpoint, packets of a URB, URBs.
func (r *redirection) startIsoStream(p packet) error {
	endpoint := p.body[0]
	if !r.camera.isochronous || r.setting == 0 || endpoint != videoEndpoint {
		return r.sendPackets(packet{typeIsoStatus, p.id, []byte{statusStall, endpoint}})
	}
	r.stopIsoStream()
	if err := r.sendPackets(packet{typeIsoStatus, p.id, []byte{statusSuccess, endpoint}}); err != nil {
		return err
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	burst, limit := max(int(p.body[1]), isoBurstPackets), r.packetLimit()
	go func() {
		defer close(ended)
		if err := r.sendIsoPackets(burst, limit, stop); err != nil {
			select {
			case r.failed <- err:
			default: // the first one is the one to report
			}
			r.conn.Close() // ends the reading side
		}
	}()
	r.isoMu.Lock()
	r.stopIso = func() { close(stop); <-ended }
	r.isoMu.Unlock()
	return nil
}

// stopIsoStream ends the stream, if there is one, and waits for its goroutine.
func (r *redirection) stopIsoStream() {
	r.isoMu.Lock()
	defer r.isoMu.Unlock()
	if r.stopIso != nil {
		r.stopIso()
		r.stopIso = nil
	}
}

// sendIsoPackets sends packets at the pace of the bus until stop is closed.
func (r *redirection) sendIsoPackets(burst, limit int, stop <-chan struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	packets := make([]packet, burst)
	for next := time.Now(); ; {
		for i := range packets {
			data, err := r.camera.nextIsoPacket(limit, time.Now())
			if err != nil {
				return err
			}
			head := binary.LittleEndian.AppendUint16([]byte{videoEndpoint, statusSuccess}, uint16(len(data)))
			packets[i] = packet{kind: typeIso, body: append(head, data...)}
		}
		if err := r.sendPackets(packets...); err != nil {
			return nil // the reading side reports it
		}
		next = next.Add(time.Duration(burst) * microframe)
		if time.Since(next) > maxIsoDelay {
			next = time.Now()
		}
		timer.Reset(time.Until(next))
		select {
		case <-stop:
			return nil
		case <-timer.C:
		}
	}
}

// nextIsoPacket returns the next isochronous packet, an empty one while no picture is due.
func (c *Camera) nextIsoPacket(limit int, now time.Time) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stream.isSending() {
		faults := c.faults.in(c.probe.pixelFormat())
		if faults.Hang || !c.stream.isDue(now) {
			return nil, nil
		}
		if err := c.stream.loadPicture(c.source, c.probe, faults, now); err != nil {
			return nil, err
		}
	}
	return c.stream.cutPayload(limit), nil
}

// usbredir: isochronous streams. Each owns a goroutine that sends a packet for each
// microframe, an empty one while no picture is due: QEMU counts a missing one as lost.
// Spec: usbredir protocol 0.7, packets start_iso_stream and iso_packet; USB 2.0 section 5.6.

package virtualcam

import (
	"encoding/binary"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

const (
	microframe = 125 * time.Microsecond
	// isoBurst is how many packets are sent at once: timers are no finer than a
	// millisecond on every system.
	isoBurst = 8
	// isoLate is how late a stream may be before it starts over instead of sending a burst
	// of what nobody waits for any more.
	isoLate = 100 * time.Millisecond
)

// isochronousPayload is how many bytes of a microframe the camera asks for: JPEGs are content
// with the narrower alternate setting, 8.2 MB/s, and leave room on the bus for another camera.
func isochronousPayload(f pixfmt.FourCC) uint32 {
	if f == pixfmt.MJPG {
		return narrowSize
	}
	return isochronousSize
}

// packetLimit is the most bytes of a packet in the present alternate setting.
func (r *redirection) packetLimit() int {
	if r.setting > 1 {
		return isochronousSize
	}
	return narrowSize
}

// startIso begins a stream: endpoint, packets a URB, URBs.
func (r *redirection) startIso(p packet) error {
	endpoint := p.body[0]
	if !r.camera.isochronous || r.setting == 0 || endpoint != videoEndpoint {
		return r.send(packet{typeIsoStatus, p.id, []byte{statusStall, endpoint}})
	}
	r.endIso()
	if err := r.send(packet{typeIsoStatus, p.id, []byte{statusSuccess, endpoint}}); err != nil {
		return err
	}
	stop, ended, burst, limit := make(chan struct{}), make(chan struct{}), max(int(p.body[1]),
		isoBurst), r.packetLimit()
	go func() {
		defer close(ended)
		if err := r.streamIso(burst, limit, stop); err != nil {
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

// endIso ends the stream, if there is one, and waits for its goroutine.
func (r *redirection) endIso() {
	r.isoMu.Lock()
	defer r.isoMu.Unlock()
	if r.stopIso != nil {
		r.stopIso()
		r.stopIso = nil
	}
}

// streamIso sends packets at the pace of the bus until stop is closed.
func (r *redirection) streamIso(burst, limit int, stop <-chan struct{}) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	packets := make([]packet, burst)
	for next := time.Now(); ; {
		for i := range packets {
			data, err := r.camera.isoPacket(limit, time.Now())
			if err != nil {
				return err
			}
			head := binary.LittleEndian.AppendUint16([]byte{videoEndpoint, statusSuccess}, uint16(len(data)))
			packets[i] = packet{kind: typeIso, body: append(head, data...)}
		}
		if err := r.send(packets...); err != nil {
			return nil // the reading side reports it
		}
		next = next.Add(time.Duration(burst) * microframe)
		if time.Since(next) > isoLate {
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

// isoPacket is the next isochronous packet; empty while no picture is due.
func (c *Camera) isoPacket(limit int, now time.Time) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stream.busy() {
		if c.faults.Hang || !c.stream.due(now) {
			return nil, nil
		}
		if err := c.stream.load(c.source, c.probe, c.faults, now); err != nil {
			return nil, err
		}
	}
	return c.stream.cut(limit), nil
}

// usbredir: the side that has the device ("usb-host"), played to QEMU's usb-redir.
// Owns the goroutine that feeds transfers while a connection lives.
// Spec: usbredir protocol 0.7.

package virtualcam

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrRejected means that the other side does not want the device: a filter, or a
// controller that is too slow for it.
var ErrRejected = errors.New("device rejected")

// ErrNotPluggedIn means that no connection lives.
var ErrNotPluggedIn = errors.New("virtual camera: not plugged in")

// Capabilities of both sides. An xHCI controller refuses a device without the last three.
const (
	capDeviceVersion = 1 << 1
	capFilter        = 1 << 2
	capMaxPacketSize = 1 << 4
	cap64BitIDs      = 1 << 5
	cap32BitBulk     = 1 << 6
	capabilities     = capDeviceVersion | capFilter | capMaxPacketSize | cap64BitIDs | cap32BitBulk
)

// A redirection is the camera on one connection.
type redirection struct {
	camera *Camera
	conn   io.ReadWriteCloser
	mu     sync.Mutex // over writes: answers come from the feeding goroutine too

	setting byte       // alternate setting of the streaming interface; the serving goroutine's own
	failed  chan error // what ended an isochronous stream, at most one
	isoMu   sync.Mutex
	stopIso func() // ends the isochronous stream; nil: there is none
}

// ServeUSBRedir plugs the camera into conn, the socket of a QEMU chardev, and plays it
// until the connection ends, which QEMU's guest sees as an unplug. It closes conn. The
// error is never nil: io.EOF if the other side hung up, ErrRejected if it refused.
func (c *Camera) ServeUSBRedir(conn io.ReadWriteCloser) error {
	defer conn.Close()
	r := &redirection{camera: c, conn: conn, failed: make(chan error, 1)}
	in := bufio.NewReaderSize(conn, 64<<10)
	if err := r.greet(in); err != nil {
		return err
	}
	c.mu.Lock()
	c.link = r
	c.mu.Unlock()
	defer c.reset()
	defer func() {
		c.mu.Lock()
		c.link = nil
		c.mu.Unlock()
	}()
	if err := r.connect(); err != nil {
		return err
	}
	done, fed := make(chan struct{}), make(chan error, 1)
	go func() {
		err := c.feed(done)
		if err != nil {
			conn.Close() // ends the reading below
		}
		fed <- err
	}()
	err := r.serve(in)
	close(done)
	r.endIso()
	select {
	case isoErr := <-r.failed:
		return isoErr
	default:
	}
	if feedErr := <-fed; feedErr != nil {
		return feedErr
	}
	return err
}

// Detach pulls the camera by a message; the connection stays. ErrNotPluggedIn if there is
// none.
func (c *Camera) Detach() error {
	r := c.connection()
	if r == nil {
		return ErrNotPluggedIn
	}
	r.endIso()
	c.reset()
	return r.send(packet{kind: typeDeviceDisconnect})
}

// Attach plugs a detached camera in again on the same connection.
func (c *Camera) Attach() error {
	r := c.connection()
	if r == nil {
		return ErrNotPluggedIn
	}
	return r.connect()
}

func (c *Camera) connection() *redirection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

// send writes packets in one piece.
func (r *redirection) send(packets ...packet) error {
	var b []byte
	for _, p := range packets {
		b = p.append(b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.conn.Write(b); err != nil {
		return fmt.Errorf("usbredir: %w", err)
	}
	return nil
}

// greet exchanges the hellos.
func (r *redirection) greet(in io.Reader) error {
	var hello [helloSize]byte
	copy(hello[:], "krazycam virtualcam")
	binary.LittleEndian.PutUint32(hello[64:], capabilities)
	if err := r.send(packet{kind: typeHello, body: hello[:]}); err != nil {
		return err
	}
	p, err := readPacket(in, true)
	if err != nil {
		return err
	}
	if caps := binary.LittleEndian.Uint32(p.body[64:]); caps&capabilities != capabilities {
		return fmt.Errorf("usbredir: capabilities %#x, want %#x: %w", caps, capabilities, errProtocol)
	}
	return nil
}

func (r *redirection) serve(in io.Reader) error {
	for {
		p, err := readPacket(in, false)
		if err != nil {
			return err
		}
		if err := r.answer(p); err != nil {
			return err
		}
	}
}

// answer acts on one packet of QEMU.
func (r *redirection) answer(p packet) error {
	switch p.kind {
	case typeReset:
		r.camera.cure(Reset)
		return nil
	case typeFilterFilter, typeDisconnectAck:
		return nil
	case typeFilterReject:
		return fmt.Errorf("usbredir: %w", ErrRejected)
	case typeSetConfiguration:
		r.endIso()
		r.setting = 0
		r.camera.cure(Configuration)
		// The endpoints must be known before the status arrives.
		return r.send(interfaceInfo(), r.endpointInfo(),
			packet{typeConfigurationStatus, p.id, []byte{statusSuccess, p.body[0]}})
	case typeGetConfiguration:
		return r.send(packet{typeConfigurationStatus, p.id, []byte{statusSuccess, 1}})
	case typeSetAlt:
		if p.body[0] == streamingInterface {
			r.endIso()
			r.setting = p.body[1]
		}
		return r.send(r.endpointInfo(), packet{typeAltStatus, p.id, []byte{statusSuccess, p.body[0], p.body[1]}})
	case typeGetAlt:
		setting := byte(0)
		if p.body[0] == streamingInterface {
			setting = r.setting
		}
		return r.send(packet{typeAltStatus, p.id, []byte{statusSuccess, p.body[0], setting}})
	case typeStartIso:
		return r.startIso(p)
	case typeStopIso:
		r.endIso()
		return r.send(packet{typeIsoStatus, p.id, []byte{statusSuccess, p.body[0]}})
	case typeControl:
		return r.send(r.control(p))
	case typeBulk:
		return r.bulk(p)
	case typeCancel:
		r.camera.cancel(p.id, func() {
			// A failed write also ends the reading side, which reports it.
			_ = r.send(packet{typeBulk, p.id, []byte{videoEndpoint, statusCancelled, 0, 0, 0, 0, 0, 0, 0, 0}})
		})
		return nil
	}
	return fmt.Errorf("usbredir: packet of type %d: %w", p.kind, errProtocol)
}

// control: endpoint, request, request type, status, value 2, index 2, length 2, data.
// QEMU leaves status unset in its requests, so it is written, never echoed.
func (r *redirection) control(p packet) packet {
	b, le := p.body, binary.LittleEndian
	s := setup{kind: b[2], request: b[1], value: le.Uint16(b[4:]), index: le.Uint16(b[6:]), length: le.Uint16(b[8:])}
	answer, ok := r.camera.control(s, b[10:], time.Now())
	head := append([]byte(nil), b[:10]...)
	head[3] = statusSuccess
	if s.kind&fromDevice != 0 {
		le.PutUint16(head[8:], uint16(len(answer)))
	}
	if !ok {
		head[3] = statusStall
		le.PutUint16(head[8:], 0)
	}
	return packet{typeControl, p.id, append(head, answer...)}
}

// bulk: endpoint, status, low half of the length 2, stream 4, high half of the length 2.
func (r *redirection) bulk(p packet) error {
	le, head := binary.LittleEndian, append([]byte(nil), p.body[:10]...)
	if head[0] != videoEndpoint || r.camera.isochronous {
		head[1] = statusInvalid
		return r.send(packet{typeBulk, p.id, head})
	}
	head[1] = statusSuccess
	// A guest may ask for 4 GiB, which a 32-bit int does not hold; no answer is that long.
	most := int(min(uint32(le.Uint16(head[2:]))|uint32(le.Uint16(head[8:]))<<16, payloadSize))
	r.camera.submit(transfer{id: p.id, max: most, reply: func(data []byte, stall bool) {
		if stall {
			head[1] = statusStall
		}
		le.PutUint16(head[2:], uint16(len(data)))
		le.PutUint16(head[8:], uint16(len(data)>>16))
		_ = r.send(packet{typeBulk, p.id, append(head, data...)}) // reported by the reading side
	}})
	return nil
}

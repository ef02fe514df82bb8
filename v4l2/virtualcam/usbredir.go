// usbredir: the side that has the device ("usb-host") of a connection to QEMU's usb-redir. Owns
// the goroutine that feeds transfers during a connection. Source: usbredir protocol 0.7.

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

// ErrRejected means that the other side refuses the device: because of a filter, or because its
// controller is too slow.
var ErrRejected = errors.New("device rejected")

// ErrNotPluggedIn means that there is no connection.
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
	mu     sync.Mutex // of writes: the feeding goroutine sends answers, too

	setting byte       // alternate setting of the streaming interface; the serving goroutine's own
	failed  chan error // the error that ended an isochronous stream, at most one
	isoMu   sync.Mutex
	stopIso func() // ends the isochronous stream; nil: there is none
}

// ServeUSBRedir plugs the camera into conn, the socket of a QEMU chardev, and plays it until the
// connection ends, which QEMU's guest sees as an unplug. It closes conn. The error is never nil:
// io.EOF if the other side closed the connection, ErrRejected if it refused the device.
func (c *Camera) ServeUSBRedir(conn io.ReadWriteCloser) error {
	defer conn.Close()
	r := &redirection{camera: c, conn: conn, failed: make(chan error, 1)}
	in := bufio.NewReaderSize(conn, 64<<10)
	if err := r.exchangeHellos(in); err != nil {
		return err
	}
	c.mu.Lock()
	c.link = r
	c.mu.Unlock()
	defer c.dropTransfers()
	defer func() {
		c.mu.Lock()
		c.link = nil
		c.mu.Unlock()
	}()
	if err := r.announceDevice(); err != nil {
		return err
	}
	done, fed := make(chan struct{}), make(chan error, 1)
	go func() {
		err := c.feedTransfers(done)
		if err != nil {
			conn.Close() // ends the reading below
		}
		fed <- err
	}()
	err := r.servePackets(in)
	close(done)
	r.stopIsoStream()
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

// Detach unplugs the camera by a message; the connection stays. The error is ErrNotPluggedIn if
// there is no connection.
func (c *Camera) Detach() error {
	r := c.connection()
	if r == nil {
		return ErrNotPluggedIn
	}
	r.stopIsoStream()
	c.dropTransfers()
	return r.sendPackets(packet{kind: typeDeviceDisconnect})
}

// Attach plugs a detached camera into the same connection again.
func (c *Camera) Attach() error {
	r := c.connection()
	if r == nil {
		return ErrNotPluggedIn
	}
	return r.announceDevice()
}

func (c *Camera) connection() *redirection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

// sendPackets writes packets with one call.
func (r *redirection) sendPackets(packets ...packet) error {
	var b []byte
	for _, p := range packets {
		b = p.appendTo(b)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.conn.Write(b); err != nil {
		return fmt.Errorf("usbredir: %w", err)
	}
	return nil
}

// exchangeHellos sends the hello packet, reads the other side's and checks its capabilities.
func (r *redirection) exchangeHellos(in io.Reader) error {
	var hello [helloSize]byte
	copy(hello[:], "krazycam virtualcam")
	binary.LittleEndian.PutUint32(hello[64:], capabilities)
	if err := r.sendPackets(packet{kind: typeHello, body: hello[:]}); err != nil {
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

// servePackets handles packets until the connection ends.
func (r *redirection) servePackets(in io.Reader) error {
	for {
		p, err := readPacket(in, false)
		if err != nil {
			return err
		}
		if err := r.handlePacket(p); err != nil {
			return err
		}
	}
}

// handlePacket handles one packet of QEMU.
func (r *redirection) handlePacket(p packet) error {
	switch p.kind {
	case typeReset:
		r.camera.applyCure(Reset)
		return nil
	case typeFilterFilter, typeDisconnectAck:
		return nil
	case typeFilterReject:
		return fmt.Errorf("usbredir: %w", ErrRejected)
	case typeSetConfiguration:
		r.stopIsoStream()
		r.setting = 0
		r.camera.applyCure(Configuration)
		// QEMU must know the endpoints before it gets the status.
		return r.sendPackets(interfaceInfo(), r.endpointInfo(),
			packet{typeConfigurationStatus, p.id, []byte{statusSuccess, p.body[0]}})
	case typeGetConfiguration:
		return r.sendPackets(packet{typeConfigurationStatus, p.id, []byte{statusSuccess, 1}})
	case typeSetAlt:
		if p.body[0] == streamingInterface {
			r.stopIsoStream()
			r.setting = p.body[1]
		}
		return r.sendPackets(r.endpointInfo(),
			packet{typeAltStatus, p.id, []byte{statusSuccess, p.body[0], p.body[1]}})
	case typeGetAlt:
		setting := byte(0)
		if p.body[0] == streamingInterface {
			setting = r.setting
		}
		return r.sendPackets(packet{typeAltStatus, p.id, []byte{statusSuccess, p.body[0], setting}})
	case typeStartIso:
		return r.startIsoStream(p)
	case typeStopIso:
		r.stopIsoStream()
		return r.sendPackets(packet{typeIsoStatus, p.id, []byte{statusSuccess, p.body[0]}})
	case typeControl:
		return r.sendPackets(r.handleControl(p))
	case typeBulk:
		return r.handleBulk(p)
	case typeCancel:
		r.camera.cancelTransfer(p.id, func() {
			// The reading side reports a failed write.
			status := []byte{videoEndpoint, statusCancelled, 0, 0, 0, 0, 0, 0, 0, 0}
			_ = r.sendPackets(packet{typeBulk, p.id, status})
		})
		return nil
	}
	return fmt.Errorf("usbredir: packet of type %d: %w", p.kind, errProtocol)
}

// handleControl answers a control packet: endpoint, request, request type, status, value 2,
// index 2, length 2, data. QEMU does not set the status in its requests, so it is always written.
func (r *redirection) handleControl(p packet) packet {
	b, le := p.body, binary.LittleEndian
	s := setup{
		kind: b[2], request: b[1],
		value: le.Uint16(b[4:]), index: le.Uint16(b[6:]), length: le.Uint16(b[8:]),
	}
	answer, ok := r.camera.handleSetup(s, b[10:], time.Now())
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

// handleBulk queues a bulk transfer: endpoint, status, low half of the length 2, stream 4, high
// half of the length 2.
func (r *redirection) handleBulk(p packet) error {
	le, head := binary.LittleEndian, append([]byte(nil), p.body[:10]...)
	if head[0] != videoEndpoint || r.camera.isochronous {
		head[1] = statusInvalid
		return r.sendPackets(packet{typeBulk, p.id, head})
	}
	head[1] = statusSuccess
	// A guest may ask for 4 GiB, more than a 32-bit int holds; no answer is that long.
	maxBytes := int(min(uint32(le.Uint16(head[2:]))|uint32(le.Uint16(head[8:]))<<16, payloadSize))
	r.camera.queueTransfer(transfer{id: p.id, maxBytes: maxBytes, reply: func(data []byte, stall bool) {
		if stall {
			head[1] = statusStall
		}
		le.PutUint16(head[2:], uint16(len(data)))
		le.PutUint16(head[8:], uint16(len(data)>>16))
		_ = r.sendPackets(packet{typeBulk, p.id, append(head, data...)}) // reported by the reading side
	}})
	return nil
}

package virtualcam

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// A host is a test's QEMU: the other end of the connection.
type host struct {
	t    *testing.T
	conn net.Conn
	end  chan error // of ServeUSBRedir
}

func plugIn(t *testing.T, c *Camera) *host {
	t.Helper()
	ours, theirs := net.Pipe()
	h := &host{t, ours, make(chan error, 1)}
	go func() { h.end <- c.ServeUSBRedir(theirs) }()
	if err := ours.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return h
}

func (h *host) write(p packet) {
	h.t.Helper()
	if _, err := h.conn.Write(p.appendTo(nil)); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) expect(kind uint32) packet {
	h.t.Helper()
	p, err := readPacket(h.conn, kind == typeHello)
	if err != nil {
		h.t.Fatal(err)
	}
	if p.kind != kind {
		h.t.Fatalf("packet of type %d, want %d", p.kind, kind)
	}
	return p
}

func helloBody(caps uint32) []byte {
	return binary.LittleEndian.AppendUint32(make([]byte, 64), caps)
}

// greet goes as far as the device's announcement.
func (h *host) greet() {
	h.t.Helper()
	h.expect(typeHello)
	h.write(packet{kind: typeHello, body: helloBody(capabilities | 1)})
	h.expectDevice()
}

func (h *host) expectDevice() {
	h.t.Helper()
	h.expect(typeInterfaceInfo)
	if ep := h.expect(typeEndpointInfo); ep.body[videoEndpointSlot] != endpointBulk {
		h.t.Errorf("type of endpoint 1 IN = %d, want bulk", ep.body[videoEndpointSlot])
	}
	h.expect(typeDeviceConnect)
}

func bulkRequest(id uint64, size int) packet {
	return packet{typeBulk, id,
		[]byte{videoEndpoint, 0xee, byte(size), byte(size >> 8), 0, 0, 0, 0, byte(size >> 16), 0}}
}

func TestConnectionServesControlAndPictures(t *testing.T) {
	h := plugIn(t, New(&script{size: 100}))
	h.greet()
	h.write(packet{kind: typeSetConfiguration, id: 1, body: []byte{1}})
	h.expect(typeInterfaceInfo)
	h.expect(typeEndpointInfo)
	if p := h.expect(typeConfigurationStatus); p.id != 1 || !bytes.Equal(p.body, []byte{statusSuccess, 1}) {
		t.Errorf("configuration status = %+v", p)
	}
	// QEMU leaves the status of a request unset: 0xee must not come back.
	h.write(packet{typeControl, 7, []byte{0x80, reqDescriptor, fromDevice, 0xee, 0, descDevice, 0, 0, 64, 0}})
	if p := h.expect(typeControl); p.id != 7 || p.body[3] != statusSuccess ||
		!bytes.Equal(p.body[10:], deviceDescriptor) {
		t.Errorf("descriptor = %+v", p)
	}
	h.write(packet{typeControl, 8, []byte{0x80, reqDescriptor, fromDevice, 0xee, 0, 6, 0, 0, 10, 0}})
	if p := h.expect(typeControl); p.body[3] != statusStall || len(p.body) != 10 {
		t.Errorf("device qualifier = %+v, want a stall", p)
	}
	h.write(bulkRequest(9, payloadSize))
	p := h.expect(typeBulk)
	if p.id != 9 || p.body[1] != statusSuccess || int(p.body[2]) != 100+payloadHeaderSize ||
		len(p.body) != 10+100+payloadHeaderSize {
		t.Errorf("bulk answer of %d bytes to %d, want 122 to 9", len(p.body), p.id)
	}
	h.conn.Close()
	if err := <-h.end; !errors.Is(err, io.EOF) {
		t.Errorf("ServeUSBRedir = %v, want EOF", err)
	}
}

// On a 32-bit machine this was a negative size and a panic.
func TestTransferOfFourGigabytesGetsWhatThereIs(t *testing.T) {
	h := plugIn(t, New(&script{size: 100}))
	h.greet()
	h.write(bulkRequest(9, 1<<24-1))
	request := bulkRequest(10, 1<<24-1)
	request.body[9] = 0xff
	h.write(request)
	for _, id := range []uint64{9, 10} {
		if p := h.expect(typeBulk); p.id != id || len(p.body) != 10+100+payloadHeaderSize {
			t.Errorf("bulk answer of %d bytes to %d, want 122 to %d", len(p.body), p.id, id)
		}
	}
}

func TestCancelIsAnsweredExactlyOnce(t *testing.T) {
	c := New(&script{size: 100})
	c.InjectFaults(Faults{Hang: true})
	h := plugIn(t, c)
	h.greet()
	h.write(bulkRequest(1, payloadSize))
	h.write(bulkRequest(2, payloadSize))
	h.write(packet{kind: typeCancel, id: 1})
	if p := h.expect(typeBulk); p.id != 1 || p.body[1] != statusCancelled {
		t.Errorf("answer to the cancel = %+v", p)
	}
	h.write(packet{kind: typeCancel, id: 1}) // again: no second answer
	c.InjectFaults(Faults{})
	if p := h.expect(typeBulk); p.id != 2 || p.body[1] != statusSuccess {
		t.Errorf("answer to the transfer that was left = %+v", p)
	}
}

func TestDetachAndAttachOnOneConnection(t *testing.T) {
	c := New(&script{size: 100})
	if err := c.Detach(); !errors.Is(err, ErrNotPluggedIn) {
		t.Errorf("Detach without a connection = %v, want ErrNotPluggedIn", err)
	}
	if err := c.Attach(); !errors.Is(err, ErrNotPluggedIn) {
		t.Errorf("Attach without a connection = %v, want ErrNotPluggedIn", err)
	}
	h := plugIn(t, c)
	h.greet()
	for range 2 {
		sent := make(chan error, 1)
		go func() { sent <- c.Detach() }()
		h.expect(typeDeviceDisconnect)
		h.write(packet{kind: typeDisconnectAck})
		go func() { sent <- c.Attach() }()
		h.expectDevice()
		for range 2 {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestConnectionEndsOnWhatIsNotUSBRedir(t *testing.T) {
	for _, c := range []struct {
		name  string
		hello packet
		next  packet
		want  error
	}{
		{"a filter rejects the device", packet{kind: typeHello, body: helloBody(capabilities)},
			packet{kind: typeFilterReject}, ErrRejected},
		{"an unknown packet", packet{kind: typeHello, body: helloBody(capabilities)}, packet{kind: 99}, errProtocol},
		{"32 bit ids only", packet{kind: typeHello, body: helloBody(capabilities &^ cap64BitIDs)}, packet{},
			errProtocol},
		{"no hello", packet{kind: typeReset, body: helloBody(0)}, packet{}, errProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := plugIn(t, New(&script{}))
			h.expect(typeHello)
			b := c.hello.appendTo(nil)
			if c.hello.kind != typeHello { // first headers are short
				b = append(b[:helloHeader:helloHeader], b[packetHeader:]...)
			}
			if _, err := h.conn.Write(b); err != nil {
				t.Fatal(err)
			}
			if c.next.kind != 0 {
				h.expectDevice()
				h.write(c.next)
			}
			if err := <-h.end; !errors.Is(err, c.want) {
				t.Errorf("ServeUSBRedir = %v, want %v", err, c.want)
			}
		})
	}
}

func TestSourceFailureEndsTheConnection(t *testing.T) {
	broken := errors.New("broken")
	h := plugIn(t, New(&script{err: broken}))
	h.greet()
	h.write(bulkRequest(1, payloadSize))
	if err := <-h.end; !errors.Is(err, broken) {
		t.Errorf("ServeUSBRedir = %v, want %v", err, broken)
	}
}

func TestReadPacketKeepsItsLimits(t *testing.T) {
	long := packet{kind: typeControl, body: make([]byte, 10)}.appendTo(nil)
	binary.LittleEndian.PutUint32(long[4:], maxBodySize+1)
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"a body longer than the limit", long, errProtocol},
		{"a control packet without its fixed part", packet{kind: typeControl, body: make([]byte, 9)}.appendTo(nil),
			errProtocol},
		{"half a header", long[:8], io.ErrUnexpectedEOF},
		{"half a body", packet{kind: typeControl, body: make([]byte, 20)}.appendTo(nil)[:20], io.ErrUnexpectedEOF},
		{"nothing", nil, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			if p, err := readPacket(bytes.NewReader(c.b), false); !errors.Is(err, c.want) {
				t.Errorf("readPacket = %+v, %v, want %v", p, err, c.want)
			}
		})
	}
}

// FuzzConnection plays whatever bytes come to a camera behind a good hello.
func FuzzConnection(f *testing.F) {
	f.Add(bulkRequest(1, payloadSize).appendTo(packet{kind: typeCancel, id: 1}.appendTo(nil)))
	f.Add(packet{typeControl, 7,
		[]byte{0x80, reqDescriptor, fromDevice, 0, 0, descDevice, 0, 0, 64, 0}}.appendTo(nil))
	f.Add(packet{typeControl, 7,
		append([]byte{1, uvcSetCur, classToIface, 0, 0, selectCommit, 1, 0, 26, 0},
			make([]byte, 40)...)}.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := New(&script{size: 10})
		r := &redirection{camera: c, conn: nowhere{}}
		in := bytes.NewReader(b)
		for {
			p, err := readPacket(in, false)
			if err != nil || r.handlePacket(p) != nil {
				return
			}
			if _, err := c.fillTransfers(time.Unix(int64(in.Len()), 0)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

type nowhere struct{}

func (nowhere) Read([]byte) (int, error)    { return 0, io.EOF }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) Close() error                { return nil }

func TestFullSpeedCameraSaysSoAndHasSmallPackets(t *testing.T) {
	c := Model{FullSpeed: true, Isochronous: true}.New(&script{size: 100})
	h := plugIn(t, c)
	h.expect(typeHello)
	h.write(packet{kind: typeHello, body: helloBody(capabilities | 1)})
	h.expect(typeInterfaceInfo)
	p := h.expect(typeEndpointInfo)
	slot := 3*endpointSlots + 2*videoEndpointSlot
	got, kind := binary.LittleEndian.Uint16(p.body[slot:]), p.body[videoEndpointSlot]
	if got != fullPacketSize || kind != endpointBulk {
		t.Errorf("video endpoint of kind %d with packets of %d bytes, want bulk with 64", kind, got)
	}
	if p := h.expect(typeDeviceConnect); p.body[0] != speedFull {
		t.Errorf("speed code %d, want %d", p.body[0], speedFull)
	}
	if want := []byte{7, 5, videoEndpoint, 2, fullPacketSize, 0, 0}; !bytes.HasSuffix(c.configuration, want) {
		t.Errorf("configuration ends % x, want % x", c.configuration[len(c.configuration)-7:], want)
	}
}

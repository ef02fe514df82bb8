package virtualcam

import (
	"bytes"
	"image/jpeg"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// sent is what a faulty camera sends of one picture, and the flags of its last payload.
func sent(t *testing.T, source Source, f Faults) (picture []byte, flags byte) {
	t.Helper()
	var s stream
	if err := s.loadPicture(source, settled(source), f, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	for s.isSending() {
		payload := s.cutPayload(payloadSize)
		picture, flags = append(picture, payload[payloadHeaderSize:]...), payload[1]
	}
	return picture, flags
}

func TestFaultsSpoilThePicture(t *testing.T) {
	source := NewPattern()
	whole, _ := sent(t, source, Faults{})
	for _, c := range []struct {
		name  string
		f     Faults
		bytes int
	}{
		{"half a picture", Faults{Half: true}, len(whole) / 2},
		{"none of it", Faults{Empty: true}, 0},
		{"all of it, with the error bit", Faults{ErrorBit: true}, len(whole)},
	} {
		got, flags := sent(t, source, c.f)
		if len(got) != c.bytes || !bytes.HasPrefix(whole, got) {
			t.Errorf("%s: %d bytes, want the first %d", c.name, len(got), c.bytes)
		}
		if damaged := flags&flagError != 0; damaged != c.f.ErrorBit || flags&flagEndOfFrame == 0 {
			t.Errorf("%s: flags %#x", c.name, flags)
		}
	}
}

func TestOddPicturesAreWhatHealthyCamerasSend(t *testing.T) {
	whole, _ := sent(t, NewPattern(), Faults{})
	if got, _ := sent(t, NewPattern(), Faults{NoEnd: true}); !bytes.Equal(got, whole[:len(whole)-2]) {
		t.Errorf("without the end marker: %d of %d bytes", len(got), len(whole))
	}
	got, _ := sent(t, NewPattern(), Faults{Padding: 4000})
	if len(got) != len(whole)+4000 || !bytes.HasPrefix(got, whole) || bytes.IndexByte(got[len(whole):], 0xff) >= 0 {
		t.Errorf("with padding: %d bytes, the picture has %d", len(got), len(whole))
	}
	if got, _ = sent(t, NewPattern(), Faults{Lose: 500}); len(got) != len(whole)-500 {
		t.Errorf("with a loss of 500: %d of %d bytes", len(got), len(whole))
	}
	source := NewPattern()
	p := settled(source)
	agreed := p.pictureSize(source.ListSizes())
	for height, f := range map[int]Faults{
		agreed.Height + 8: {Surplus: true}, agreed.Height / 2: {Fields: true},
	} {
		got, _ := sent(t, source, f)
		h, err := jpeg.DecodeConfig(bytes.NewReader(got))
		if err != nil || h.Width != agreed.Width || h.Height != height {
			t.Errorf("%+v: picture of %dx%d (%v), want a height of %d", f, h.Width, h.Height, err, height)
		}
		pictures, err := splitMJPEG(got)
		if want := 1 + max(0, agreed.Height/height-1); err != nil || len(pictures) != want {
			t.Errorf("%+v: %d pictures (%v), want %d", f, len(pictures), err, want)
		}
	}
}

func TestPictureWithoutHuffmanTablesIsTheSamePictureWithoutThem(t *testing.T) {
	whole, _ := sent(t, NewPattern(), Faults{})
	got, _ := sent(t, NewPattern(), Faults{NoHuffman: true})
	table := []byte{0xff, markerDHT}
	if !bytes.Contains(whole, table) || bytes.Contains(got[:bytes.Index(got, []byte{0xff, markerSOS})], table) {
		t.Error("the tables are still there")
	}
	scan := whole[bytes.Index(whole, []byte{0xff, markerSOS}):]
	if !bytes.HasSuffix(got, scan) || jpegLength(got) != len(got) {
		t.Errorf("%d of %d bytes are not the rest of the picture", len(got), len(whole))
	}
	for _, odd := range [][]byte{nil, {1}, {0xff, markerSOI}, {0xff, markerSOI, 0xff, markerDHT, 0xff, 0xff}} {
		if b := withoutHuffman(odd); !bytes.Equal(b, odd) {
			t.Errorf("withoutHuffman(%x) = %x, want it as it is", odd, b)
		}
	}
}

func TestResizedPictureIsNotTheSizeThatWasAgreedOn(t *testing.T) {
	source := NewPattern()
	got, _ := sent(t, source, Faults{Resize: true})
	p := settled(source)
	agreed := p.pictureSize(source.ListSizes())
	if h, err := jpeg.DecodeConfig(bytes.NewReader(got)); err != nil || h.Width == agreed.Width {
		t.Errorf("picture of %dx%d (%v), want another size than %v", h.Width, h.Height, err, agreed)
	}
	if only := otherSize(Size{2, 2}, []Size{{2, 2}}); only != (Size{2, 2}) {
		t.Errorf("other size of a camera with one = %v", only)
	}
}

func TestStallAnswersEachTransferWithOne(t *testing.T) {
	c := New(&script{size: 10})
	c.InjectFaults(Faults{Stall: true})
	h := plugIn(t, c)
	h.greet()
	for id := range uint64(3) {
		h.write(bulkRequest(id, payloadSize))
		if p := h.expect(typeBulk); p.id != id || p.body[1] != statusStall || len(p.body) != 10 {
			t.Errorf("answer %+v, want a stall", p)
		}
	}
}

func TestRefusedStreamStallsTheCommitOnly(t *testing.T) {
	c := New(&script{size: 10})
	c.InjectFaults(Faults{Refuse: true})
	for control, want := range map[uint16]bool{selectProbe: true, selectCommit: false} {
		s := setup{kind: classToIface, request: uvcSetCur, value: control << 8, index: streamingInterface, length: 26}
		if _, ok := c.handleSetup(s, make([]byte, 26), time.Unix(1, 0)); ok != want {
			t.Errorf("control %d: accepted = %v, want %v", control, ok, want)
		}
	}
}

func TestModelHasItsOwnNameAndSerialNumber(t *testing.T) {
	c := Model{Name: "Other Cam", Serial: "77"}.New(&script{})
	for n, want := range map[int]string{2: "Other Cam", 3: "77"} {
		b, ok := c.descriptor(descString, n)
		if got := bytes.ReplaceAll(b[2:], []byte{0}, nil); !ok || string(got) != want {
			t.Errorf("string %d = %q, want %q", n, got, want)
		}
	}
}

func TestIsochronousStreamSendsThePictureInPacketsAndEmptyOnesBetween(t *testing.T) {
	c := Model{Isochronous: true}.New(&script{size: 5000})
	h := plugIn(t, c)
	h.expect(typeHello)
	h.write(packet{kind: typeHello, body: helloBody(capabilities)})
	h.expect(typeInterfaceInfo)
	if ep := h.expect(typeEndpointInfo); ep.body[videoEndpointSlot] != endpointNone {
		t.Errorf("setting 0 has an endpoint of type %d, want none", ep.body[videoEndpointSlot])
	}
	h.expect(typeDeviceConnect)
	start := packet{typeStartIso, 5, []byte{videoEndpoint, 32, 3}}
	h.write(start)
	if p := h.expect(typeIsoStatus); p.body[0] != statusStall {
		t.Errorf("a stream in setting 0 = status %d, want a stall", p.body[0])
	}
	h.write(packet{typeSetAlt, 6, []byte{streamingInterface, 2}})
	if ep := h.expect(typeEndpointInfo); ep.body[videoEndpointSlot] != endpointIso {
		t.Errorf("setting 2 has an endpoint of type %d, want isochronous", ep.body[videoEndpointSlot])
	}
	h.expect(typeAltStatus)
	h.write(start)
	h.expect(typeIsoStatus)
	picture, empty := 0, 0
	for ended := false; !ended || empty == 0; {
		p := h.expect(typeIso)
		n := int(p.body[2]) | int(p.body[3])<<8
		if n != len(p.body)-4 || n > widePacketSize {
			t.Fatalf("packet of %d bytes says %d", len(p.body)-4, n)
		}
		if n == 0 {
			empty++
			continue
		}
		if !ended {
			picture += n - payloadHeaderSize
		}
		ended = ended || p.body[5]&flagEndOfFrame != 0
	}
	if picture != 5000 {
		t.Errorf("the picture came as %d bytes, want 5000", picture)
	}
	h.conn.Close()
	<-h.end
}

func TestYUYVHalfIsShort(t *testing.T) {
	if got := (Faults{Half: true}).damagePicture(pixfmt.YUYV, make([]byte, 10)); len(got) != 5 {
		t.Errorf("%d bytes, want 5", len(got))
	}
}

func TestCureTakesTheFaultsBack(t *testing.T) {
	c := New(&script{size: 10})
	r := &redirection{camera: c, conn: nowhere{}}
	reset, configure := packet{kind: typeReset}, packet{kind: typeSetConfiguration, body: []byte{1}}
	for _, step := range []struct {
		name   string
		until  Cure
		by     packet
		healed bool
	}{
		{"a reset heals what it can heal", Reset, reset, true},
		{"a configuration does not stand in for a reset", Reset, configure, false},
		{"a configuration heals what it can heal", Configuration, configure, true},
		{"nothing heals what only Inject heals", NoCure, reset, false},
	} {
		c.InjectFaults(Faults{Hang: true, Until: step.until})
		if err := r.handlePacket(step.by); err != nil {
			t.Fatal(err)
		}
		if c.faults.Hang == step.healed {
			t.Errorf("%s: hangs = %v", step.name, c.faults.Hang)
		}
	}
}

func TestExposurePriorityIsOnUntilTheHostSwitchesItOff(t *testing.T) {
	c := New(&script{})
	ask := func(kind, request byte, data ...byte) ([]byte, bool) {
		s := setup{kind: kind, request: request, value: selectExposurePriority << 8, index: cameraTerminal << 8,
			length: 1}
		return c.handleSetup(s, data, time.Unix(1, 0))
	}
	for _, want := range []byte{1, 0} {
		if got, ok := ask(classFromIface, uvcGetCur); !ok || len(got) != 1 || got[0] != want {
			t.Errorf("exposure priority = %v, %v, want %d", got, ok, want)
		}
		if _, ok := ask(classToIface, uvcSetCur, 0); !ok {
			t.Error("it cannot be switched off")
		}
	}
	if _, ok := ask(classToIface, uvcSetCur, 2); ok {
		t.Error("2 was taken for a switch")
	}
}

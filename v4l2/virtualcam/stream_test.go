package virtualcam

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// A script is a source of byte strings.
type script struct {
	size int // bytes of each
	err  error
	due  []time.Time
}

func (s *script) ListSizes() []Size { return []Size{{640, 480}, {320, 240}} }

func (s *script) FillBuffer(_ pixfmt.FourCC, _ Size, n uint32, due time.Time) ([]byte, error) {
	s.due = append(s.due, due)
	return bytes.Repeat([]byte{byte(n)}, s.size), s.err
}

func settled(source Source) probe {
	var p probe
	p.settleFields(source.ListSizes())
	return p
}

// A payload must come out whole however the host cuts its transfers.
func TestPictureSurvivesEveryTransferSize(t *testing.T) {
	for _, size := range []int{0, 1, payloadSize - payloadHeaderSize - 1, payloadSize - payloadHeaderSize,
		payloadSize,
		3*payloadSize + 5} {
		for _, most := range []int{512, 2048, payloadSize, 1 << 20} {
			t.Run(fmt.Sprintf("%d bytes in transfers of %d", size, most), func(t *testing.T) {
				var s stream
				source := &script{size: size}
				if err := s.loadPicture(source, settled(source), Faults{}, time.Unix(1, 0)); err != nil {
					t.Fatal(err)
				}
				var got []byte
				for s.isSending() {
					payload := readPayload(&s, most)
					if len(payload) < payloadHeaderSize || payload[0] != payloadHeaderSize {
						t.Fatalf("payload %x has no header", payload[:min(len(payload), 8)])
					}
					got = append(got, payload[payloadHeaderSize:]...)
					if end := payload[1]&flagEndOfFrame != 0; end == s.isSending() {
						t.Fatalf("end of frame = %v with more to come = %v", end, s.isSending())
					}
				}
				if want := bytes.Repeat([]byte{1}, size); !bytes.Equal(got, want) {
					t.Errorf("%d bytes came out, want %d", len(got), len(want))
				}
			})
		}
	}
}

// readPayload reads as a host does: up to a short transfer or the payload's full size.
func readPayload(s *stream, most int) []byte {
	var b []byte
	for {
		part := s.nextTransfer(most)
		b = append(b, part...)
		if len(part) < most || len(b) == payloadSize {
			return b
		}
	}
}

func TestFrameIDTogglesWithEachPicture(t *testing.T) {
	var s stream
	source := &script{size: 10}
	var ids []byte
	for i := range 4 {
		if err := s.loadPicture(source, settled(source), Faults{}, time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.nextTransfer(payloadSize)[1]&flagFrameID)
	}
	if want := []byte{1, 0, 1, 0}; !bytes.Equal(ids, want) {
		t.Errorf("frame ids = %v, want %v", ids, want)
	}
}

func TestLateHostLosesOldPicturesAndGetsTheNewest(t *testing.T) {
	start, source := time.Unix(100, 0), &script{size: 10}
	p := settled(source)
	third := p.interval()
	var s stream
	s.startAt(start)
	for _, c := range []struct {
		name   string
		at     time.Duration
		number uint32
		due    time.Duration
	}{
		{"at once", 0, 1, 0},
		{"in time for the next", third, 2, third},
		{"a little late: exposed when it was due", 2*third + third/2, 3, 2 * third},
		{"five periods late: four are lost", 8 * third, 9, 8 * third},
		{"back in step", 9 * third, 10, 9 * third},
	} {
		if !s.isDue(start.Add(c.at)) {
			t.Errorf("%s: not due", c.name)
		}
		if err := s.loadPicture(source, p, Faults{}, start.Add(c.at)); err != nil {
			t.Fatal(err)
		}
		if got := source.due[len(source.due)-1].Sub(start); s.number != c.number || got != c.due {
			t.Errorf("%s: picture %d due at %v, want %d at %v", c.name, s.number, got, c.number, c.due)
		}
		if s.isDue(start.Add(c.at)) {
			t.Errorf("%s: the next one is due already", c.name)
		}
	}
}

func TestFillAnswersInOrderAndWaitsForTheNextPicture(t *testing.T) {
	c, now := New(&script{size: 10}), time.Unix(5, 0)
	var order []uint64
	for id := range uint64(3) {
		c.queueTransfer(transfer{id, payloadSize, func([]byte, bool) { order = append(order, id) }})
	}
	wait, err := c.fillTransfers(now)
	if err != nil || len(order) != 1 || wait != c.probe.interval() {
		t.Fatalf("first fill answered %v and waits %v (%v), want one answer and %v", order, wait, err,
			c.probe.interval())
	}
	c.cancelTransfer(1, func() {})
	if _, err := c.fillTransfers(now.Add(wait)); err != nil || len(order) != 2 || order[1] != 2 {
		t.Errorf("answers = %v (%v), want 0 and 2: 1 was cancelled", order, err)
	}
	c.cancelTransfer(2, func() { t.Error("an answered transfer was cancelled") })
}

func TestHangingCameraSendsNothing(t *testing.T) {
	c := New(&script{size: 10})
	answered := 0
	c.queueTransfer(transfer{1, payloadSize, func([]byte, bool) { answered++ }})
	c.InjectFaults(Faults{Hang: true})
	if _, err := c.fillTransfers(time.Unix(5, 0)); err != nil || answered != 0 {
		t.Errorf("answers of a hanging camera = %d (%v), want 0", answered, err)
	}
	c.InjectFaults(Faults{})
	if _, err := c.fillTransfers(time.Unix(6, 0)); err != nil || answered != 1 {
		t.Errorf("answers once healed = %d (%v), want 1", answered, err)
	}
}

func TestFailingSourceEndsTheFeeding(t *testing.T) {
	broken := errors.New("broken")
	c := New(&script{err: broken})
	c.queueTransfer(transfer{1, payloadSize, func([]byte, bool) { t.Error("answered") }})
	if err := c.feedTransfers(nil); !errors.Is(err, broken) {
		t.Errorf("feed = %v, want %v", err, broken)
	}
}

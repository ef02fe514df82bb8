package receiver

import (
	"encoding/binary"
	"net/netip"
	"os"
	"testing"
	"time"
)

// readRecord walks a file by its own sizes and gives the header's number of frames and the last
// frame's time.
func readRecord(t *testing.T, path string) (frames int, last time.Duration) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:4]) != "DKIF" || string(b[8:12]) != "VP80" || binary.LittleEndian.Uint16(b[12:]) != 320 ||
		binary.LittleEndian.Uint16(b[14:]) != 240 {
		t.Errorf("header % x", b[:32])
	}
	den, num := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
	count := int(binary.LittleEndian.Uint32(b[24:]))
	for b = b[32:]; len(b) > 0; frames++ {
		last = time.Duration(binary.LittleEndian.Uint64(b[4:])) * time.Second * time.Duration(num) / time.Duration(den)
		b = b[12+binary.LittleEndian.Uint32(b):]
	}
	if frames != count {
		t.Errorf("%d frames in the file, %d in its header", frames, count)
	}
	return frames, last
}

// A source waits for its answer to stop_stream less than a second, and the next one for its grant.
func TestEndAndTheNextGrantDoNotWaitForTheRecordsEnd(t *testing.T) {
	b := newBench(t, t.TempDir())
	for i := range 30 {
		b.send(b.frame(i == 0, uint32(i)*3000))
		b.wait(40 * time.Millisecond)
	}
	record := b.Stats().Record
	timebase := func() uint32 {
		head, err := os.ReadFile(record)
		if err != nil {
			t.Fatal(err)
		}
		return binary.LittleEndian.Uint32(head[16:])
	}
	b.closingMu.Lock() // a disk that takes for ever
	ended := make(chan error)
	go func() {
		b.Receiver.End()
		ended <- b.Begin(nil, 0, netip.Addr{})
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("End or Begin waits for the disk")
	}
	if got := timebase(); got != clockRate {
		t.Errorf("meanwhile the timebase is 1/%d, want that of the frames as they came", got)
	}
	b.closingMu.Unlock()
	b.closing.Wait()
	if got := timebase(); got != 30 {
		t.Errorf("at the end the timebase is 1/%d, want 1/30", got)
	}
}

// What cannot be closed belongs to its own grant: the next one records.
func TestLateFailureOfARecordLeavesTheNextGrantAlone(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.send(b.frame(true, 0))
	if err := b.sender.record.Close(); err != nil { // closing it again fails
		t.Fatal(err)
	}
	b.closingMu.Lock()
	b.Receiver.End()
	if err := b.Begin(nil, 0, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	b.closingMu.Unlock()
	b.closing.Wait()
	if _, _, err := b.Captured(netip.Addr{}); err != nil {
		t.Errorf("Captured of the next grant = %v", err)
	}
}

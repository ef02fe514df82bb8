package farend

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func contextWithStop(t *testing.T) (context.Context, func()) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// readIVF walks the file by its own sizes and gives the header's count of frames
// and the last frame's time.
func readIVF(t *testing.T, path string) (frames int, ticks uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:4]) != "DKIF" || string(b[8:12]) != "VP80" || binary.LittleEndian.Uint16(b[12:]) != 320 || binary.LittleEndian.Uint16(b[14:]) != 240 {
		t.Errorf("header % x", b[:32])
	}
	count := int(binary.LittleEndian.Uint32(b[24:]))
	for b = b[32:]; len(b) > 0; frames++ {
		ticks = binary.LittleEndian.Uint64(b[4:])
		b = b[12+binary.LittleEndian.Uint32(b):]
	}
	if frames != count {
		t.Errorf("%d frames in the file, %d in its header", frames, count)
	}
	return frames, ticks
}

func TestIVFIsWholeAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.ivf")
	v, err := createIVF(path, 320, 240)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(3) {
		if err := v.write([]byte{1, 2, 3}, 4294960000+i*3000); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || len(b) != 32+3*15 { // not closed yet
		t.Errorf("%d bytes, %v, want all three frames in the file", len(b), err)
	}
	if err := v.close(); err != nil {
		t.Error(err)
	}
	if frames, ticks := readIVF(t, path); frames != 3 || ticks != 6000 {
		t.Errorf("%d frames, last at %d, want 3 and 6000", frames, ticks)
	}
	if _, err := createIVF(path, 1, 1); err == nil {
		t.Error("createIVF replaced a file")
	}
}

func TestSequenceCountsAsAppendixAWants(t *testing.T) {
	for _, c := range []struct {
		name           string
		seqs           []uint16
		expected       uint64
		lost           int64
		reordered      uint64
		fraction       uint8
		highest, total uint32
	}{
		{"in order", []uint16{10, 11, 12}, 3, 0, 0, 0, 12, 0},
		{"over the wrap", []uint16{65534, 65535, 0, 1}, 4, 0, 0, 0, 1<<16 + 1, 0},
		{"half lost", []uint16{0, 2, 4, 6}, 7, 3, 0, 3 * 256 / 7, 6, 3},
		{"one overtaken", []uint16{0, 2, 1, 3}, 4, 0, 1, 0, 3, 0},
		{"one overtaken over the wrap", []uint16{65535, 1, 0}, 3, 0, 1, 0, 1<<16 + 1, 0},
		{"one twice", []uint16{0, 1, 1}, 2, -1, 0, 0, 1, 0xffffff},
		{"a stray is left out", []uint16{0, 30000, 1}, 2, 0, 0, 0, 1, 0},
		{"two in a row are a new start", []uint16{0, 1, 30000, 30001, 30002}, 4, 0, 0, 0, 30002, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sequence
			for _, seq := range c.seqs {
				s.take(seq)
			}
			if s.expected() != c.expected || s.lost() != c.lost || s.reordered != c.reordered {
				t.Errorf("expected %d lost %d reordered %d, want %d %d %d", s.expected(), s.lost(), s.reordered, c.expected, c.lost, c.reordered)
			}
			if fraction, total, highest := s.report(); fraction != c.fraction || highest != c.highest || total != c.total {
				t.Errorf("report = %d %#x %#x, want %d %#x %#x", fraction, total, highest, c.fraction, c.total, c.highest)
			}
			if fraction, _, _ := s.report(); fraction != 0 {
				t.Errorf("fraction of an empty interval = %d, want 0", fraction)
			}
		})
	}
}

func TestJitterIsTheSmoothedDifferenceOfTransits(t *testing.T) {
	var s sequence
	for i := range uint32(1000) { // every second packet 160 ticks late
		s.arrived(0xfffffff0+i*3000+i%2*160, i*3000)
	}
	if s.jitter < 158 || s.jitter > 160 {
		t.Errorf("jitter = %v ticks, want 160", s.jitter)
	}
}

func TestTicksGoOnForYears(t *testing.T) {
	for _, at := range []time.Duration{0, 1<<64/clockRate - 5*time.Millisecond, 10 * 365 * 24 * time.Hour} {
		if got := ticks(at+10*time.Millisecond) - ticks(at); got != 900 {
			t.Errorf("10 ms after %v are %d ticks, want 900", at, got)
		}
	}
}

func TestDelayFollowsAClockThatIsSetAndOneThatDrifts(t *testing.T) {
	const second = uint64(1) << 32
	var d delayEstimate
	if _, known := d.of(0, 0); known {
		t.Error("a delay before the first report")
	}
	check := func(name string, ts uint32, at, want time.Duration) {
		t.Helper()
		if got, known := d.of(ts, at); !known || (got-want).Abs() > time.Millisecond {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	d.report(100*second, 0, 10*time.Second+30*time.Millisecond) // a slow report
	d.report(101*second, 90000, 11*time.Second)                 // a fast one
	check("the fastest report counts", 90000+45000, 11540*time.Millisecond, 40*time.Millisecond)
	check("a frame from before the report", 90000-45000, 10540*time.Millisecond, 40*time.Millisecond)
	d.report(3_900_000_000*second, 180000, 12*time.Second) // NTP sets the board's clock
	check("a clock set forward", 180000, 12050*time.Millisecond, 50*time.Millisecond)
	d.report(50*second, 270000, 13*time.Second)
	check("a clock set back", 270000, 13050*time.Millisecond, 50*time.Millisecond)
	for i := range uint64(600) { // 10 min, the board's clock loses 100 ppm
		at := 14*time.Second + time.Duration(i)*(time.Second+100*time.Microsecond)
		d.report((51+i)*second, uint32(360000+i*90000), at)
		if got, _ := d.of(uint32(360000+i*90000), at+20*time.Millisecond); got < 20*time.Millisecond || got > 33*time.Millisecond {
			t.Fatalf("after %d s of drift: %v, want 20 ms and at most two minutes' drift", i, got)
		}
	}
}

func TestSelfSignedIsMadeOnceAndHoldsForABoardWithoutClock(t *testing.T) {
	dir := t.TempDir()
	pair, err := SelfSigned(dir, []string{"192.0.2.1", "desk.local"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	again, err := SelfSigned(dir, []string{"other"}, time.Now())
	if err != nil || string(again.Certificate[0]) != string(pair.Certificate[0]) {
		t.Errorf("the second call made another certificate, %v", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	for _, host := range []string{"192.0.2.1", "desk.local"} {
		for _, now := range []time.Time{time.Unix(86400, 0), time.Now()} {
			if _, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool, CurrentTime: now}); err != nil {
				t.Errorf("%s at %v: %v", host, now, err)
			}
		}
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info, err)
	}
	if err := os.Remove(filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := SelfSigned(dir, nil, time.Now()); err == nil || !strings.Contains(err.Error(), "lost its key") {
		t.Errorf("without its key: %v", err)
	}
}

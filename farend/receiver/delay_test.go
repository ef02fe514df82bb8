package receiver

import (
	"testing"
	"time"
)

func TestDelayFollowsAClockThatIsSetAndOneThatDrifts(t *testing.T) {
	const second = uint64(1) << 32
	var d delayEstimate
	if _, known := d.delayOf(0, 0); known {
		t.Error("a delay before the first report")
	}
	check := func(name string, ts uint32, at, want time.Duration) {
		t.Helper()
		if got, known := d.delayOf(ts, at); !known || (got-want).Abs() > time.Millisecond {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	d.takeReport(100*second, 0, 10*time.Second+30*time.Millisecond) // a slow report
	d.takeReport(101*second, 90000, 11*time.Second)                 // a fast one
	check("the fastest report counts", 90000+45000, 11540*time.Millisecond, 40*time.Millisecond)
	check("a frame from before the report", 90000-45000, 10540*time.Millisecond, 40*time.Millisecond)
	d.takeReport(3_900_000_000*second, 180000, 12*time.Second) // NTP sets the board's clock
	check("a clock set forward", 180000, 12050*time.Millisecond, 50*time.Millisecond)
	d.takeReport(50*second, 270000, 13*time.Second)
	check("a clock set back", 270000, 13050*time.Millisecond, 50*time.Millisecond)
	for i := range uint64(600) { // 10 min, the board's clock loses 100 ppm
		at := 14*time.Second + time.Duration(i)*(time.Second+100*time.Microsecond)
		d.takeReport((51+i)*second, uint32(360000+i*90000), at)
		if got, _ := d.delayOf(uint32(360000+i*90000), at+20*time.Millisecond); got < 20*time.Millisecond ||
			got > 33*time.Millisecond {
			t.Fatalf("after %d s of drift: %v, want 20 ms and at most two minutes' drift", i, got)
		}
	}
}

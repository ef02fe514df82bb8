package perm

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/events"
)

// written gives the bytes that the kernel has written to the device, by its own count.
func (l loop) written(t *testing.T) int64 {
	t.Helper()
	unix.Sync()
	b, err := os.ReadFile("/sys/block/" + filepath.Base(l.Node) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	// Documentation/block/stat.rst: the seventh number is that of sectors written, of 512 bytes.
	n, err := strconv.ParseInt(strings.Fields(string(b))[6], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * 512
}

// A day of a board in steady state: the clock is saved every hour, and as many events are kept as
// the log takes. After each write all is brought to the device, as it is within the half minute
// until the next one.
func TestADayCostsLessThanAMegabyte(t *testing.T) {
	const mostADay = 1e6
	l := newLoop(t, card.PermSize).mounted(t)
	if got := l.Ensure(); got.State != OK {
		t.Fatal(got)
	}
	now := time.Unix(1767225600, 0)
	list, err := events.Open(filepath.Join(l.Dir, "events"), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	saveClock := func() {
		line := []byte(strconv.FormatInt(now.Unix(), 10) + "\n")
		if err := Overwrite(filepath.Join(l.Dir, "clock"), 0o644, line); err != nil {
			t.Fatal(err)
		}
	}
	saveClock()
	for i := range 2 * events.Kept { // an old board: its budget is used up, its files are full
		if err := list.Add(events.Fallback, fmt.Sprint("before ", i)); err != nil {
			t.Fatal(err)
		}
	}
	before := l.written(t)
	var clock int64
	for hour := range 24 {
		now = now.Add(time.Hour)
		at := l.written(t)
		saveClock()
		clock += l.written(t) - at
		for i := range 5 {
			if err := list.Add(events.Fallback, fmt.Sprintf("update %d.%d failed: it is older", hour, i)); err != nil {
				t.Fatal(err)
			}
			if err := list.Add(events.Refusal, fmt.Sprintf("update %d.%d refused: it is older", hour, i)); err != nil {
				t.Fatal(err)
			}
			l.written(t)
		}
	}
	day := l.written(t) - before
	t.Logf("FIGURE /perm, bytes written in a day: %d, of which the clock %d", day, clock)
	if day > mostADay {
		t.Errorf("%d bytes are written in a day, want %d at most", day, int(mostADay))
	}
	l.check(t)
}

// The power goes as Add returns: what the device holds then is all that there is.
func TestAnEventSurvivesAPowerCut(t *testing.T) {
	need.Tools(t, "cp")
	l := newLoop(t, card.PermSize).mounted(t)
	after := newLoop(t, card.PermSize)
	list, err := events.Open(filepath.Join(l.Dir, "events"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // the first makes the file
		text := fmt.Sprint("update failed: ", i)
		if err := list.Add(events.Fallback, text); err != nil {
			t.Fatal(err)
		}
		command(t, "cp", "--sparse=always", l.image, after.image)
		after.mounted(t)
		kept := events.Read(filepath.Join(after.Dir, "events"))
		if len(kept) != i+1 || kept[i].Text != text {
			t.Errorf("after event %d: %+v", i, kept)
		}
		after.unmounted(t)
	}
}

package events

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// start is a time at which a board may be.
var start = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// patient is a clock that gives every event its place in the budget.
func patient() func() time.Time {
	now := start
	return func() time.Time { now = now.Add(refillPeriod); return now }
}

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, patient())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// texts gives the texts of events, and complains about numbers that do not go up.
func texts(t *testing.T, list []Event) string {
	t.Helper()
	var all []string
	for i, e := range list {
		if i > 0 && e.Seq <= list[i-1].Seq {
			t.Errorf("event %d comes after %d", e.Seq, list[i-1].Seq)
		}
		all = append(all, e.Text)
	}
	return strings.Join(all, " ")
}

// numbers gives the texts from first to last.
func numbers(first, last int) string {
	var all []string
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return strings.Join(all, " ")
}

func TestTheLastFiftyAreKept(t *testing.T) {
	for _, c := range []struct{ added, first int }{
		{1, 1}, {Kept - 1, 1}, {Kept, 1}, {Kept + 1, 2}, {2 * Kept, Kept + 1}, {2*Kept + 1, Kept + 2},
		{5*Kept + 7, 4*Kept + 8},
	} {
		t.Run(fmt.Sprint(c.added), func(t *testing.T) {
			dir := t.TempDir()
			for i := 1; i <= c.added; i++ {
				l := open(t, dir) // a start of the board for each
				if err := l.Add(Boot, fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
				if i == c.added && texts(t, l.Events()) != numbers(c.first, c.added) {
					t.Errorf("in memory: %s", texts(t, l.Events()))
				}
			}
			if got := texts(t, Read(dir)); got != numbers(c.first, c.added) {
				t.Errorf("Read = %s, want %d to %d", got, c.first, c.added)
			}
		})
	}
}

// A cut leaves what was synced, of the last line any part, and perhaps zeros behind it.
func TestACutAnywhereInALineCostsThatLineAlone(t *testing.T) {
	for _, full := range []int{1, Kept - 1, Kept + 1} {
		dir := t.TempDir()
		l := open(t, dir)
		for i := 1; i <= full; i++ {
			if err := l.Add(Boot, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		path := l.path()
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		last, _ := encode(l.Events()[len(l.Events())-1])
		for lost := 1; lost <= len(last); lost++ {
			for _, behind := range []string{"", "\x00\x00\x00\x00", "\xff{\n"} {
				torn := append(whole[:len(whole)-lost:len(whole)-lost], behind...)
				if err := os.WriteFile(path, torn, 0o644); err != nil {
					t.Fatal(err)
				}
				again := open(t, dir)
				if err := again.Add(Boot, "next"); err != nil {
					t.Fatal(err)
				}
				// Only the newline lost: the event itself is there.
				end := full - 1
				if lost == 1 && behind == "" {
					end = full
				}
				want := strings.TrimSpace(numbers(max(1, end-Kept+2), end) + " next")
				if got := texts(t, Read(dir)); got != want {
					t.Fatalf("%d events, %d bytes lost, %q behind: %s, want %s", full, lost, behind, got, want)
				}
				if err := os.WriteFile(path, whole, 0o644); err != nil {
					t.Fatal(err)
				}
				if again.current != l.current {
					_ = os.Remove(again.path())
				}
			}
		}
	}
}

func TestWhatStandsInTheWayIsReplaced(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
	}{
		{"a folder", func(t *testing.T, path string) {
			if err := os.MkdirAll(filepath.Join(path, "x"), 0o755); err != nil {
				t.Fatal(err)
			}
		}},
		{"garbage of a megabyte", func(t *testing.T, path string) {
			if err := os.WriteFile(path, make([]byte, 1<<20), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, filepath.Join(dir, fileName(0)))
			l, err := Open(dir, patient())
			if err == nil {
				t.Error("Open reports nothing")
			}
			for i := 1; i <= 2*Kept+1; i++ {
				if err := l.Add(Boot, fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
			if got := texts(t, Read(dir)); got != numbers(Kept+2, 2*Kept+1) {
				t.Errorf("Read = %s", got)
			}
		})
	}
}

// openAt opens a log whose clock reads now, and gives what adds to it.
func openAt(t *testing.T, dir string, now *time.Time) (add func(kind, text string)) {
	t.Helper()
	l, err := Open(dir, func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	return func(kind, text string) {
		t.Helper()
		if err := l.Add(kind, text); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRepeatsAndFloodsAreNotWritten(t *testing.T) {
	now := start
	dir := t.TempDir()
	add := openAt(t, dir, &now)
	for range 10 {
		add(Refusal, "older")
	}
	if n := len(Read(dir)); n != 1 {
		t.Errorf("ten times the same: %d events, want 1", n)
	}
	for i := range 1000 {
		add(Fallback, fmt.Sprint(i))
	}
	if n := len(Read(dir)); n != 1+burst {
		t.Errorf("after a flood: %d events, want %d", n, 1+burst)
	}
	for i := range 24 * 60 { // a day, an event a minute
		now = now.Add(time.Minute)
		add(Fallback, fmt.Sprint("day", i))
	}
	if n := len(Read(dir)); n != 1+burst+12 {
		t.Errorf("a day later: %d events, want %d", n, 1+burst+12)
	}
	now = now.AddDate(40, 0, 0)
	add(Perm, "clock ahead")
	now = start
	add(Perm, "clock back")
	if got := texts(t, Read(dir)[1+burst+12:]); got != "clock ahead clock back" {
		t.Errorf("a clock that jumps: %s", got)
	}
}

// camweb in foreign hands can have as many updates refused as it likes.
func TestRefusalsLeaveTheOtherEventsAlone(t *testing.T) {
	now := start
	dir := t.TempDir()
	add := openAt(t, dir, &now)
	add(Boot, "start")
	for i := range 24 * 60 { // a day, one a minute
		add(Refusal, fmt.Sprint("refused ", i))
		now = now.Add(time.Minute)
	}
	add(Fallback, "update failed")
	list := Read(dir)
	if len(list) != refusalBurst+3+2 { // 3 more come with the day
		t.Errorf("%d events: %s", len(list), texts(t, list))
	}
	if list[0].Text != "start" || list[len(list)-1].Text != "update failed" {
		t.Errorf("events %s", texts(t, list))
	}
}

func TestTextsAreOneShortLine(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	for _, s := range []string{
		strings.Repeat("\x01", 1000), strings.Repeat("ü", 1000), "a\nb", "\xff", strings.Repeat("<", 400),
	} {
		if err := l.Add(Fallback, s); err != nil {
			t.Fatal(err)
		}
	}
	list := Read(dir)
	if len(list) != 5 || list[2].Text != "a b" || list[3].Text != "?" || !strings.HasSuffix(list[1].Text, "ü…") {
		t.Errorf("Read = %+v", list)
	}
	for _, e := range list {
		if line, err := encode(e); err != nil || len(line) > maxLine || len(e.Text) > maxText {
			t.Errorf("%d bytes of text make a line of %d, %v", len(e.Text), len(line), err)
		}
	}
}

func TestEventsOfABoardWithoutPermAreKeptInMemory(t *testing.T) {
	dir := t.TempDir()
	old := open(t, dir)
	if err := old.Add(Boot, "1"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(filepath.Join(dir, fileName(0), "no folder"), patient()) // below a file
	if err == nil {
		t.Error("Open below a file reports nothing")
	}
	if err := l.Add(Boot, "2"); err == nil {
		t.Error("Add below a file reports nothing")
	}
	if got := texts(t, l.Events()); got != "2" {
		t.Errorf("in memory: %s, want 2", got)
	}
}

func FuzzRead(f *testing.F) {
	line, _ := encode(Event{Seq: 7, At: start, Kind: Boot, Text: "power"})
	f.Add(line)
	f.Add(append(line, line[:20]...))
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName(1)), b, 0o644); err != nil {
			t.Fatal(err)
		}
		before := Read(dir)
		if len(before) > Kept {
			t.Fatalf("%d events", len(before))
		}
		l, _ := Open(dir, patient())
		if err := l.Add(Boot, "next"); err != nil {
			t.Fatal(err)
		}
		after := Read(dir)
		if len(after) == 0 || after[len(after)-1].Text != "next" {
			t.Fatalf("the next event is not there: %v", after)
		}
		want := min(len(before)+1, Kept)
		if len(after) != want {
			t.Fatalf("%d events, then %d", len(before), len(after))
		}
	})
}

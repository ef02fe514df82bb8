package webm

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/lock"
	"github.com/krazycam/krazycam/farend/webm/matroska"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// put makes a file as an earlier run would have left it.
func put(t *testing.T, dir, path string, size int, changed time.Time) {
	t.Helper()
	path = filepath.Join(dir, filepath.FromSlash(path))
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, make([]byte, size), 0o600),
		os.Chtimes(path, changed, changed))
	if err != nil {
		t.Fatal(err)
	}
}

// filesIn lists all files below a folder but the lock.
func filesIn(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); err == nil && !d.IsDir() && rel != "lock" {
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

const large = matroska.HeadSize + 100_000

func TestLimitsRemoveTheOldestOfACustomerAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	all := []string{
		"1/a/20261101-000000.000.webm", "1/a/20261127-000000.000.webm", "1/a/20261128-000000.000.webm",
		"1/b/20261127-120000.000.webm", "2/a/20261101-000000.000.webm", "2/a/20261128-000000.000.webm",
		"3/a/20200101-000000.000.webm", "4/a/20200101-000000.000.webm",
		"1/a/holiday.webm", "1/a/20261127-000000.000.webm.bak", "x/a/20200101-000000.000.webm", "1/notes.txt",
		"01/a/20200101-000000.000.webm",
	}
	for _, path := range all {
		changed := now
		if start, ok := parseName(filepath.Base(path)); ok {
			changed = time.UnixMilli(start).Add(time.Hour)
		}
		put(t, dir, path, large, changed)
	}
	l := openLibrary(t, Config{
		Dir: dir, Log: testLog(t), Now: func() time.Time { return now }, Defaults: Limits{Age: 7 * 24 * time.Hour},
		CustomerLimits: func(_ context.Context, customer int64) (Limits, error) {
			switch customer {
			case 1:
				return Limits{Bytes: 2*large + 1, Age: 365 * 24 * time.Hour}, nil
			case 3:
				return Limits{}, errors.New("the database is away")
			case 4:
				return Limits{Age: -1}, nil
			}
			return Limits{}, nil
		},
	})
	gone := []string{all[0], all[1], all[4]}
	want := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return slices.Contains(gone, p) })
	slices.Sort(want)
	await(t, "what is beyond the limits was removed", func() bool { return len(filesIn(t, dir)) <= len(want) })
	closeLibrary(t, l)
	if got := filesIn(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
}

// What somebody removed by hand makes room: nothing else goes for it.
func TestFilesThatWereRemovedByHandCountNoMore(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"20261126", "20261127", "20261128"} {
		put(t, dir, "1/a/"+name+"-000000.000.webm", large, time.Now())
	}
	l := openLibrary(t, Config{Dir: dir})
	if err := os.Remove(filepath.Join(dir, "1", "a", "20261128-000000.000.webm")); err != nil {
		t.Fatal(err)
	}
	l.pruneCustomer(1, Limits{Bytes: 2*large + 1})
	closeLibrary(t, l)
	if got := filesIn(t, dir); len(got) != 2 {
		t.Errorf("there are %q, want the two older ones", got)
	}
}

// Under a limit all streams go on, in smaller files, and the one that is written stays.
func TestLimitHoldsWhileStreamsAreWritten(t *testing.T) {
	const limit = 8 << 20
	l := openLibrary(t, Config{Log: testLog(t), Defaults: Limits{Bytes: limit}})
	clip := drawn()
	clip[1] = append(clip[1], make([]byte, 30_000)...)
	var feeds []*source
	for _, name := range []string{"a", "b"} {
		feeds = append(feeds, newSource(clip, l.Record(Source{Customer: 1, ID: wire.TextID(name)})))
	}
	for range 40 {
		for _, s := range feeds {
			before, _ := s.sink.(*Recorder).Counts()
			s.feed(30)
			awaitWritten(t, s.sink.(*Recorder), before+30)
		}
		l.prune(t.Context()) // as every 10 s
		if _, total := l.finishedOf(1); total > limit {
			t.Fatalf("%d bytes are kept, more than %d", total, limit)
		}
	}
	_, total := l.finishedOf(1)
	if total < limit/2 {
		t.Errorf("%d bytes are kept of %d that may be", total, limit)
	}
	for _, s := range feeds {
		if n, dropped := s.sink.(*Recorder).Counts(); n != 1200 || dropped != 0 {
			t.Errorf("%d frames were recorded, %d dropped; want 1200", n, dropped)
		}
	}
	closeLibrary(t, l)
}

func TestCustomerWhoRecordsNothingGetsNoFile(t *testing.T) {
	var limits atomic.Pointer[Limits]
	limits.Store(&Limits{Bytes: -1})
	var skipped atomic.Int64 // minutes
	now := func() time.Time { return time.Now().Add(time.Duration(skipped.Load()) * time.Minute) }
	var asked atomic.Bool
	l := openLibrary(t, Config{
		Now: now, CustomerLimits: func(context.Context, int64) (Limits, error) {
			defer asked.Store(true)
			return *limits.Load(), nil
		},
	})
	s := yard()
	s.RequestKeyFrame = func() {
		if limits.Load().Bytes < 0 {
			t.Error("a key frame was asked for")
		}
	}
	r := l.Record(s)
	feed := newSource(drawn(), r)
	feed.feed(30)
	await(t, "the limits are asked for", asked.Load)
	limits.Store(&Limits{})
	await(t, "the new limits count", func() bool {
		skipped.Add(1)
		l.prune(t.Context())
		feed.feed(3)
		recorded, _ := r.Counts()
		return recorded > 0
	})
	limits.Store(&Limits{Age: -1})
	await(t, "the file ended", func() bool {
		skipped.Add(1)
		l.prune(t.Context())
		feed.feed(3)
		record, problem := r.Report()
		return record == "" && problem == ""
	})
	closeLibrary(t, l)
	if list := l.List(7, s.ID); len(list) == 0 {
		t.Error("the file went")
	}
}

// Two cameras begin while the database thinks, which then says no; a third while it is away.
func TestNothingIsRecordedUntilACustomersLimitsAreKnown(t *testing.T) {
	dir := t.TempDir()
	var asked, skipped atomic.Int64
	answer, away := make(chan struct{}), atomic.Bool{}
	away.Store(true)
	l := openLibrary(t, Config{
		Dir: dir, Log: testLog(t), Now: func() time.Time { return time.Now().Add(time.Duration(skipped.Load())) },
		CustomerLimits: func(_ context.Context, customer int64) (Limits, error) {
			if customer == 7 {
				asked.Add(1)
				<-answer
				return Limits{Bytes: -1}, nil
			}
			if away.Load() {
				return Limits{}, errors.New("the database is away")
			}
			return Limits{}, nil
		},
	})
	var feeds []*source
	for _, name := range []string{"a", "b"} {
		feeds = append(feeds, newSource(drawn(), l.Record(Source{Customer: 7, ID: wire.TextID(name)})))
	}
	feedAll(feeds, 30)
	await(t, "the question is asked", func() bool { return asked.Load() > 0 })
	close(answer)
	feedAll(feeds, 30)
	other := l.Record(Source{Customer: 8, ID: wire.TextID("c")})
	feed := newSource(drawn(), other)
	await(t, "why nothing is recorded is said", func() bool {
		feed.feed(3)
		_, problem := other.Report()
		return problem == limitsUnknown
	})
	if got := filesIn(t, dir); len(got) != 0 {
		t.Errorf("there are %q before it is known whether they may be", got)
	}
	away.Store(false)
	await(t, "the answer counts", func() bool {
		skipped.Add(int64(limitsRetry))
		l.prune(t.Context()) // as soon after a failure
		feed.feed(3)
		recorded, _ := other.Counts()
		return recorded > 0
	})
	closeLibrary(t, l)
	if got := filesIn(t, dir); len(got) != 1 || !strings.HasPrefix(got[0], "8/") || asked.Load() != 1 {
		t.Errorf("there are %q after %d questions, want one file of customer 8 and one question", got, asked.Load())
	}
}

func TestNothingIsRecordedOnADiskThatIsNearlyFull(t *testing.T) {
	var free atomic.Int64
	free.Store(3 << 30)
	l := openLibrary(t, Config{Log: testLog(t),
		Disk: func(string) (int64, int64, error) { return free.Load(), 100 << 30, nil }})
	r := l.Record(yard())
	feed := newSource(drawn(), r)
	feed.feed(3)
	awaitWritten(t, r, 3)
	free.Store(2<<30 - 1) // 2 % are more than 1 GiB
	await(t, "recording stops", func() bool {
		feed.feed(3)
		record, problem := r.Report()
		return record == "" && strings.Contains(problem, "less than 2.0 GiB is free")
	})
	before, _ := r.Counts()
	free.Store(2<<30 + 1)
	l.space.check(l.config)
	if !l.space.low.Load() {
		t.Error("a byte ends the shortage: recording would begin and end all the time")
	}
	free.Store(3 << 30)
	await(t, "recording goes on", func() bool {
		feed.feed(3)
		recorded, _ := r.Counts()
		return recorded > before
	})
	if _, problem := r.Report(); problem != "" {
		t.Errorf("the problem stays: %q", problem)
	}
	closeLibrary(t, l)
	if n := len(l.List(7, yard().ID)); n != 2 {
		t.Errorf("%d files, want one before and one after", n)
	}
}

func TestRecordingsAreListedOpenedAndRemovedByNameAlone(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "7/=_48of_201/20261127-000000.000.webm", matroska.HeadSize, time.Now()) // no frame: killed at once
	put(t, dir, "7/=_48of_201/20261127-000001.000.webm", large, time.Now())             // no WebM
	put(t, dir, "secret", 10, time.Now())
	l := openLibrary(t, Config{Dir: dir})
	r := l.Record(yard())
	newSource(drawn(), r).feed(3)
	awaitWritten(t, r, 3)
	list := l.List(7, yard().ID)
	if len(list) != 2 || list[0].Name != "20261127-000001.000.webm" || list[0].Duration != 0 || list[0].Active ||
		!list[1].Active || list[1].Width != 320 {
		t.Fatalf("List = %+v", list)
	}
	if other := l.List(8, yard().ID); other != nil {
		t.Errorf("another customer has %+v", other)
	}
	f, err := l.Open(7, yard().ID, list[1].Name)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || int64(len(b)) != list[1].Bytes {
		t.Errorf("%d bytes, %v, want %d", len(b), err, list[1].Bytes)
	}
	_ = f.Close()
	for _, name := range []string{
		"", ".", "..", "../../secret", "20261127-000001.000.webm/../../../secret", "/etc/passwd", "x.webm",
		"20261127-000001.000.WEBM", "20261131-000001.000.webm", "20261127-000001,000.webm", "20261127-000009.000.webm",
	} {
		if _, err := l.Open(7, yard().ID, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("Open(%q) = %v, want ErrUnknown", name, err)
		}
		if err := l.Remove(7, yard().ID, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("Remove(%q) = %v, want ErrUnknown", name, err)
		}
	}
	if err := l.Remove(7, yard().ID, list[1].Name); !errors.Is(err, ErrActive) {
		t.Errorf("Remove of what is written = %v, want ErrActive", err)
	}
	closeLibrary(t, l)
	for _, r := range list {
		if err := l.Remove(7, yard().ID, r.Name); err != nil {
			t.Error(err)
		}
	}
	if got := filesIn(t, dir); !slices.Equal(got, []string{"secret"}) || l.List(7, yard().ID) != nil {
		t.Errorf("there are %q, want no recording", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "7", folderOf(yard().ID))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty folder stays: %v", err)
	}
}

func TestAFolderHasOneLibrary(t *testing.T) {
	dir := t.TempDir()
	l := openLibrary(t, Config{Dir: dir})
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, lock.ErrHeld) {
		t.Errorf("a second Open = %v, want %v", err, lock.ErrHeld)
	}
	closeLibrary(t, l)
	closeLibrary(t, openLibrary(t, Config{Dir: dir}))
}

func TestFoldersOfSourcesAreSafeAndDiffer(t *testing.T) {
	id := func(literal string) (id wire.ID) {
		if err := id.UnmarshalJSON([]byte(literal)); err != nil {
			t.Fatal(err)
		}
		return id
	}
	for literal, want := range map[string]string{
		`"abc-1"`: "=abc-1", `"ABC-1"`: "ABC-1", `"aBc"`: "=a_42c", `"a/../b"`: "=a_2f_2e_2e_2fb", `".."`: "_2e_2e",
		`5`: "+5", `"5"`: "5", `-5.5e3`: "+-5_2e5_653", `"CON"`: "_43ON", `"con"`: "=con", `"COM1"`: "_43OM1",
		`"_"`: "_5f", `"+5"`: "_2b5", `"=a"`: "=_3da", `"ü\u0000"`: "_c3_bc_00",
	} {
		if got := folderOf(id(literal)); got != want {
			t.Errorf("folderOf(%s) = %q, want %q", literal, got, want)
		}
	}
	long := folderOf(id(`"` + strings.Repeat("ä", 100) + `"`))
	if other := folderOf(id(`"` + strings.Repeat("ä", 101) + `"`)); long == other || len(long) > folderMax {
		t.Errorf("folders of long ids: %q and %q", long, other)
	}
}

// What others put into the folder harms nothing: a name is a recording's or is left alone.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		"20261128-193000.123.webm", "../x.webm", "20261128-193000,123.webm", "99999999-999999.999.webm",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if start, ok := parseName(name); ok && (nameOf(start) != name || strings.ContainsAny(name, "/\\\x00")) {
			t.Errorf("%q is taken for %d, which is %q", name, start, nameOf(start))
		}
		folder := folderOf(wire.TextID(name))
		if strings.ContainsAny(folder, "./\\: \x00") || len(folder) > folderMax {
			t.Errorf("the folder of %q is %q", name, folder)
		}
	})
}

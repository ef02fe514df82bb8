package single

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

var idsBegan = time.Unix(1_800_000_000, 0)

// fill makes n ids at a time.
func (k *ids) fill(t *testing.T, n int, now time.Time) (made []wire.ID) {
	t.Helper()
	for range n {
		id, err := k.createID("k", wire.ID{}, now)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, id)
	}
	return made
}

func (k *ids) knows(id wire.ID) bool { _, known := k.keyHashOf(id); return known }

func TestNewIDsNeverTakeThePlaceOfOneInUse(t *testing.T) {
	k, now := &ids{}, idsBegan
	made := k.fill(t, 3, now)
	running, used, unused := made[0], made[1], made[2]
	if err := k.noteUse(used, now); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	k.fill(t, idsMax-3, now)
	now = now.Add(unusedIDKeep)
	for range 2 * idsMax { // a flood, slow enough for unusedIDKeep
		now = now.Add(unusedIDKeep / (idsMax / 2))
		if _, err := k.createID("k", running, now); err != nil {
			t.Fatal(err)
		}
	}
	if !k.knows(running) || !k.knows(used) || k.knows(unused) || len(k.list) != idsMax {
		t.Errorf("after a flood: running known %v, used %v, an unused one %v, %d ids; want the first two and %d",
			k.knows(running), k.knows(used), k.knows(unused), len(k.list), idsMax)
	}
	now = now.Add(usedIDKeep)
	for range idsMax {
		now = now.Add(unusedIDKeep / (idsMax / 2))
		if _, err := k.createID("k", running, now); err != nil {
			t.Fatal(err)
		}
	}
	if !k.knows(running) {
		t.Error("the running stream's id is gone")
	}
}

func TestIDsAreFullWhenAllAreInUse(t *testing.T) {
	k := &ids{}
	made := k.fill(t, idsMax, idsBegan)
	if _, err := k.createID("k", wire.ID{}, idsBegan); !errors.Is(err, errIDsFull) {
		t.Errorf("createID = %v with %d new ids, want errIDsFull", err, idsMax)
	}
	for _, id := range made {
		if err := k.noteUse(id, idsBegan); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.createID("k", wire.ID{}, idsBegan.Add(usedIDKeep-time.Second)); !errors.Is(err, errIDsFull) {
		t.Errorf("createID = %v with %d used ids, want errIDsFull", err, idsMax)
	}
	if _, err := k.createID("k", wire.ID{}, idsBegan.Add(usedIDKeep)); err != nil || len(k.list) != idsMax {
		t.Errorf("createID = %v, %d ids", err, len(k.list))
	}
}

// Each id is one line more, and one sync a second serves them all.
func TestIDsAreAppendedAndSyncedOnceASecond(t *testing.T) {
	dir := t.TempDir()
	k, err := loadIDs(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := idsBegan
	k.fill(t, 1, now)
	before, err := os.Stat(k.path)
	if err != nil {
		t.Fatal(err)
	}
	k.fill(t, 500, now.Add(idsSyncInterval/2))
	after, err := os.Stat(k.path)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || after.Size() > 501*150 || after.Mode().Perm() != 0o600 {
		t.Errorf("501 ids: a new file %v, %d bytes, mode %v; want 501 lines appended",
			!os.SameFile(before, after), after.Size(), after.Mode())
	}
	if !k.syncedAt.Equal(now) || !k.unsynced {
		t.Errorf("synced at %v, unsynced %v, want one sync", k.syncedAt, k.unsynced)
	}
	if err := k.syncLate(now.Add(idsSyncInterval)); err != nil || k.unsynced {
		t.Errorf("syncLate = %v, unsynced %v", err, k.unsynced)
	}
	for range idsLinesMax + 10 {
		now = now.Add(unusedIDKeep)
		k.fill(t, 1, now)
	}
	if info, err := os.Stat(k.path); err != nil || info.Size() > (idsLinesMax+1)*150 {
		t.Errorf("%d bytes after many ids, %v, want at most %d lines", info.Size(), err, idsLinesMax+1)
	}
	again, err := loadIDs(dir)
	if err != nil || len(again.list) != idsMax || !again.knows(k.list[idsMax-1].ID) {
		t.Errorf("%d ids after a restart, %v, want %d with the last", len(again.list), err, idsMax)
	}
}

func TestIDsOutliveRestartsPowerCutsAndEarlierVersions(t *testing.T) {
	const a, b = `{"id":"a","key_sha256":"k"}` + "\n", `{"id":7,"key_sha256":"k","made":5,"used":9}` + "\n"
	for _, c := range []struct {
		name, file string
		want       int // ids; -1: an error
	}{
		{"nothing", "", 0},
		{"lines", a + b, 2},
		{"a later line about the same id", a + b + `{"id":"a","key_sha256":"k","used":9}` + "\n", 2},
		{"the list of earlier versions", "[\n " + a + "," + b + "]", 2},
		{"half a line at the end", a + b[:20], 1},
		{"a line without its end", a + strings.TrimSpace(b), 2},
		{"zeros at the end", a + "\x00\x00\x00\x00", 1},
		{"zeros alone", "\x00\x00", 0},
		{"half a line and more lines", a[:10] + "\n" + b, -1},
		{"nothing whole", "{", -1},
		{"half a list", "[" + a, -1},
		{"no ids at all", "hello\n", -1},
		{"more than is ever written", strings.Repeat(" ", idsFileMax+1), -1},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "utilization_ids.json")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := loadIDs(dir)
		if (err != nil) != (c.want < 0) || err == nil && len(k.list) != c.want {
			t.Errorf("%s: %+v, %v, want %d ids", c.name, k, err, c.want)
		}
		if err != nil {
			continue
		}
		made := k.fill(t, 1, idsBegan)[0] // and what is written then can be read
		if again, err := loadIDs(dir); err != nil || len(again.list) != c.want+1 || !again.knows(made) {
			t.Errorf("%s: after one more id %+v, %v", c.name, again, err)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "utilization_ids.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := loadIDs(dir); err == nil {
		t.Error("a folder was taken for a file of ids")
	}
}

// The same over the protocol: whoever has the key cannot take the running stream's place.
// Times are what a file says; their differences need more than 64 bits, and on some machines an int has 32.
func TestKeepLatestDropsWhatWasUsedLeastLately(t *testing.T) {
	const early, late = -2, math.MaxInt64
	k := &ids{}
	for i := range idsMax {
		k.put(issued{ID: wire.TextID(fmt.Sprint(i)), Made: 1, Used: []int64{1_700_000_000, late}[i%2]})
	}
	unused, negative := wire.TextID("unused"), wire.TextID("negative")
	k.list = slices.Insert(k.list, 0,
		issued{ID: unused, Made: 1_800_000_000}, issued{ID: negative, Made: 1, Used: early})
	k.keepLatest()
	if len(k.list) != idsMax || k.knows(unused) || k.knows(negative) {
		t.Errorf("%d ids, with the unused one %t, with the one of long ago %t, want %d without both",
			len(k.list), k.knows(unused), k.knows(negative), idsMax)
	}
}

func TestGatewayLimitsNewIDsAndKeepsTheRunningStream(t *testing.T) {
	d := newDesk(t, Config{Key: "k", StateDir: t.TempDir()})
	id := d.newID()
	d.want(fmt.Sprintf(`{"action":"start_stream","key":"k","utilization_id":%q,"width":640,"height":480}`, id), 0)
	granted, refused := 0, 0
	for i := range 3000 {
		r := httptest.NewRequest(http.MethodPost, "/",
			strings.NewReader(`{"action":"new_utilization_id","key":"k"}`))
		if i >= 1000 { // from many addresses
			r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:1", i/256, i%256)
		}
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			granted++
		case http.StatusTooManyRequests:
			refused++
			if w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "4291") {
				t.Fatalf("%v %s, want Retry-After and 4291", w.Header(), w.Body)
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if granted > idsOfAllBurst || granted < idsOfAddressBurst-1 || granted+refused != 3000 {
		t.Errorf("%d ids given out at once, %d refused, want at most %d", granted, refused, idsOfAllBurst)
	}
	if got := d.want(fmt.Sprintf(`{"action":"validate_stream","utilization_id":%q}`, id), 0); got["error_code"] != nil {
		t.Errorf("validate_stream = %v", got)
	}
	d.clock = d.clock.Add(retryAfter)
	d.newID()
	t.Logf("FIGURE of 3000 new ids at once %d are given out; the running stream keeps its own", granted)
}

func FuzzIDs(f *testing.F) {
	f.Add([]byte(`{"id":"a","key_sha256":"k"}` + "\n" + `{"id":7,"key_sha256":"k","made":5,"used":9}` + "\n"))
	f.Add([]byte(`[{"id":"a","key_sha256":"k"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k ids
		if _, err := k.parse(b); err == nil {
			k.keepLatest()
			_, _ = k.createID("k", wire.ID{}, idsBegan)
			if len(k.list) > idsMax {
				t.Errorf("%d ids", len(k.list))
			}
		}
	})
}

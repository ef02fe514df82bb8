package settings

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/slot"
)

// A change is one that a file system makes as a whole: a name gets new bytes, or goes.
type change struct {
	path    string // below the folder
	content []byte
	gone    bool
}

// changesOf runs do and gives, in their order, the changes to the folder and the slots' folders in
// it. Every file must change once at most: its content is read at the end.
func changesOf(t *testing.T, dir string, do func()) []change {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	folders := map[int32]string{}
	for _, sub := range []string{"", "a", "b"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
		wd, err := unix.InotifyAddWatch(fd, filepath.Join(dir, sub), unix.IN_MOVED_TO|unix.IN_DELETE)
		if err != nil {
			t.Fatal(err)
		}
		folders[int32(wd)] = sub
	}
	do()
	var all []change
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buffer)
		if n <= 0 || err != nil {
			return all
		}
		for at := 0; at < n; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&buffer[at]))
			at += unix.SizeofInotifyEvent
			name := string(bytes.TrimRight(buffer[at:at+int(e.Len)], "\x00"))
			at += int(e.Len)
			if e.Mask&unix.IN_IGNORED != 0 { // the folder itself went
				continue
			}
			c := change{path: filepath.Join(folders[e.Wd], name), gone: e.Mask&unix.IN_DELETE != 0}
			if !c.gone {
				if c.content, err = os.ReadFile(filepath.Join(dir, c.path)); err != nil {
					t.Fatalf("%s changed twice: %v", c.path, err)
				}
			}
			all = append(all, c)
		}
	}
}

func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// snapshot gives all files with their content.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var all string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all += path[len(dir):] + " " + read(t, path) + "\n"
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A power cut may come between any two changes. The next start must end where one without a cut does.
func TestAPowerCutAnywhereEndsTheSameWay(t *testing.T) {
	const left = `{"format": 1, "version": "v1", "settings": [
		{"section": "stream", "key": "mtu", "value": 1500}, {"section": "wifi", "key": "ssid", "value": "x"}]}`
	seedIn := t.TempDir()
	write(t, filepath.Join(seedIn, fileName), in(`"fps": 25`))
	write(t, filepath.Join(seedIn, card.ResetName), "")
	settle := func(b Start) func(t *testing.T, s Store) {
		return func(t *testing.T, s Store) {
			if _, err := s.Settle(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	begin := settle(Start{Running: slot.B, Promoted: slot.A, Trial: "v2"})
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, s Store)
		do      func(t *testing.T, s Store)
		least   int // changes
	}{
		{"a trial begins", func(*testing.T, Store) {}, begin, 4},
		{"promotion", begin, settle(Start{Running: slot.B, Promoted: slot.B}), 2},
		{"fallback", func(t *testing.T, s Store) {
			begin(t, s)
			write(t, s.path(slot.B, fileName), in(`"fps": 20, "codec": "vp9"`))
		}, settle(Start{Running: slot.A, Promoted: slot.A, Failed: "v2"}), 2},
		{"a seed", func(*testing.T, Store) {}, func(t *testing.T, s Store) {
			if _, err := s.TakeSeed(seedIn, slot.A); err != nil {
				t.Fatal(err)
			}
		}, 2},
		{"reset", func(*testing.T, Store) {}, func(t *testing.T, s Store) {
			if _, err := s.Reset(seedIn, slot.A); err != nil {
				t.Fatal(err)
			}
			if _, err := s.TakeSeed(seedIn, slot.A); err != nil {
				t.Fatal(err)
			}
		}, 6},
		{"an older card", func(t *testing.T, s Store) {
			write(t, s.shared(oldFile), in(`"fps": 7`))
			write(t, s.shared(oldMark), "cd")
			if err := os.RemoveAll(s.path(slot.A, fileName)); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T, s Store) {
			if err := s.Migrate(slot.A); err != nil {
				t.Fatal(err)
			}
		}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Store{Dir: t.TempDir()}
			write(t, s.path(slot.A, fileName), in(`"fps": 15`))
			write(t, s.path(slot.A, goodName), in(`"fps": 15`))
			write(t, s.path(slot.A, seedName), `{"format": 1, "sha256": "ab"}`)
			write(t, s.path(slot.B, fileName), in(`"fps": 1`))
			write(t, s.shared(leftBehindName), left)
			c.prepare(t, s)
			before := copyTree(t, s.Dir)
			changes := changesOf(t, s.Dir, func() { c.do(t, s) })
			if len(changes) < c.least {
				t.Fatalf("%d changes, want %d at least", len(changes), c.least)
			}
			want := snapshot(t, s.Dir)
			for cut := range len(changes) + 1 {
				again := Store{Dir: copyTree(t, before)}
				if cut > 0 {
					replay(t, again.Dir, changes[:cut])
				}
				c.do(t, again)
				if got := snapshot(t, again.Dir); got != want {
					t.Errorf("cut after %v:\n%swant\n%s", changes[:cut], got, want)
				}
			}
			t.Logf("FIGURE settings, %s: %d power cuts", c.name, len(changes)+1)
		})
	}
}

func (c change) String() string { return fmt.Sprintf("%s(%d bytes)", c.path, len(c.content)) }

func replay(t *testing.T, dir string, changes []change) {
	t.Helper()
	for _, c := range changes {
		path := filepath.Join(dir, c.path)
		if c.gone {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		write(t, path, string(c.content))
	}
}

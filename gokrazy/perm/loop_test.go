package perm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// A loop is a partition: a file as a block device, with a folder to mount it at.
type loop struct {
	Disk
	image string
}

// newLoop gives a partition of size bytes with an empty /perm on it, which is not mounted.
func newLoop(t *testing.T, size int64) loop {
	t.Helper()
	need.Root(t, "for loop devices and mounts")
	need.Tools(t, "losetup", "e2fsck")
	dir := t.TempDir()
	image := filepath.Join(dir, "perm.img")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(size), card.WriteNewPerm(f), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		need.Missing(t, fmt.Sprintf("a loop device: %v: %s", err, out))
	}
	node := strings.TrimSpace(string(out))
	mount := filepath.Join(dir, "perm")
	if err := os.Mkdir(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for unix.Unmount(mount, 0) == nil {
		}
		if out, err := exec.Command("losetup", "--detach", node).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	l := loop{OnBoard(mount, node), image}
	l.Pause = func(time.Duration) {}
	return l
}

// mounted mounts it as gokrazy does.
func (l loop) mounted(t *testing.T) loop {
	t.Helper()
	if err := unix.Mount(l.Node, l.Dir, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l loop) unmounted(t *testing.T) {
	t.Helper()
	if err := unix.Unmount(l.Dir, 0); err != nil {
		t.Fatal(err)
	}
}

// overwrite puts b on the partition, past the file system.
func (l loop) overwrite(t *testing.T, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(l.Node, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, at)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func (l loop) write(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(l.Dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// check unmounts it and has e2fsck look at it: it must find nothing to mend.
func (l loop) check(t *testing.T) {
	t.Helper()
	l.unmounted(t)
	if out, err := exec.Command("e2fsck", "-f", "-n", l.Node).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
}

func TestEnsureRepairsWhatIsDamaged(t *testing.T) {
	const settings = `{"gateway": {"key": "secret"}}`
	garbage := bytes.Repeat([]byte("krazycam"), 1<<17)
	for _, c := range []struct {
		name    string
		damage  func(t *testing.T, l loop) // of a file system that has settings and is not mounted
		changes string                     // what the report says; "": nothing
		kept    bool                       // the settings are there afterwards
	}{
		{"nothing is wrong", func(t *testing.T, l loop) { l.mounted(t) }, "", true},
		{"it was not mounted", func(*testing.T, loop) {}, "", true},
		{"mounted read-only", func(t *testing.T, l loop) {
			if err := unix.Mount(l.Node, l.Dir, "ext4", unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}, "it was mounted read-only", true},
		{"the superblock is gone", func(t *testing.T, l loop) {
			l.overwrite(t, superAt, make([]byte, superBytes))
		}, "it was made anew, with 0 files", false},
		{"a wrong superblock", func(t *testing.T, l loop) {
			l.overwrite(t, superAt+0x60, []byte{0xff, 0xff, 0xff, 0xff}) // features that no kernel knows
		}, "it was made anew, with 0 files", false},
		{"the first megabyte is garbage", func(t *testing.T, l loop) {
			l.overwrite(t, 0, garbage)
		}, "it was made anew, with 0 files", false},
		{"the group descriptors are garbage", func(t *testing.T, l loop) {
			l.overwrite(t, 4096, garbage[:4096])
		}, "it was made anew, with 0 files", false},
		{"the kernel has found errors", func(t *testing.T, l loop) {
			command(t, "debugfs", "-w", "-R", "set_super_value state 2", l.Node)
			l.mounted(t)
		}, "it was made anew, with 1 files of the old one: the kernel found errors in it", true},
		{"the journal is garbage", func(t *testing.T, l loop) {
			command(t, "debugfs", "-w", "-R", "clri <8>", l.Node)
		}, "it was made anew, with 1 files", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			need.Tools(t, "debugfs")
			l := newLoop(t, card.PermSize).mounted(t)
			l.write(t, "a/krazycam.json", settings)
			l.unmounted(t)
			c.damage(t, l)
			got := l.Ensure()
			if c.changes == "" && got.Changes != "" || !strings.HasPrefix(got.Changes, c.changes) {
				t.Errorf("changes: %s", got.Changes)
			}
			if got.State != OK || !got.Lasts {
				t.Fatalf("Ensure = %+v, want changes %q", got, c.changes)
			}
			b, err := os.ReadFile(filepath.Join(l.Dir, "a/krazycam.json"))
			if (err == nil && string(b) == settings) != c.kept {
				t.Errorf("settings: %q, %v, want kept %v", b, err, c.kept)
			}
			if c.kept {
				info, err := os.Stat(filepath.Join(l.Dir, "a/krazycam.json"))
				if err != nil {
					t.Fatal(err)
				}
				if info.Mode().Perm() != 0o600 {
					t.Errorf("mode %v", info.Mode())
				}
			}
			l.write(t, "clock", "1767225600\n")
			if again := l.Ensure(); again.Changes != "" || again.State != OK {
				t.Errorf("Ensure at the next start = %+v", again)
			}
			l.check(t)
		})
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func TestEnsureUsesMemoryWhereThereIsNoPartition(t *testing.T) {
	l := newLoop(t, card.PermSize)
	for _, c := range []struct {
		name string
		node string
		want string
	}{
		{"no partition", "", "in memory until the next start: the card has no such partition"},
		{"a node that does not appear", "/dev/krazycam-none", "in memory until the next start: the partition"},
		{"a device that is none", "/dev/null", "in memory until the next start: the partition cannot be mounted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := l.Disk
			d.Node = c.node
			got := d.Ensure()
			if !strings.HasPrefix(got.State, c.want) || got.Lasts {
				t.Errorf("Ensure = %+v, want %s", got, c.want)
			}
			l.write(t, "a/krazycam.json", "{}") // for this start
			l.unmounted(t)
		})
	}
}

func TestEnsureTouchesNoPartitionOfAnotherSize(t *testing.T) {
	l := newLoop(t, card.PermSize)
	small := filepath.Join(t.TempDir(), "small.img")
	if err := os.WriteFile(small, bytes.Repeat([]byte("else"), 1<<18), 0o600); err != nil {
		t.Fatal(err)
	}
	d := l.Disk
	d.Node = small
	if got := d.Ensure(); got.Lasts {
		t.Errorf("Ensure = %+v", got)
	}
	if b, err := os.ReadFile(small); err != nil || !bytes.Equal(b, bytes.Repeat([]byte("else"), 1<<18)) {
		t.Error("the other partition was written")
	}
}

func TestMakeRoomLetsGoWhatCanBeFetchedAgain(t *testing.T) {
	l := newLoop(t, card.PermSize).mounted(t)
	l.write(t, "a/krazycam.json", "{}")
	if removed, err := MakeRoom(l.Dir); removed != "" || err != nil {
		t.Errorf("MakeRoom where there is room = %q, %v", removed, err)
	}
	l.write(t, "update/spool/manifest.json", "{}")
	l.write(t, "var/log/messages", "old")
	l.write(t, "camweb/pulled.json", "{}")
	fill(t, filepath.Join(l.Dir, "update/spool/part"))
	removed, err := MakeRoom(l.Dir)
	want := "2 entries of " + l.Dir + "/update/spool"
	if err != nil || !strings.Contains(removed, want) || strings.Contains(removed, "camweb") {
		t.Errorf("MakeRoom = %q, %v", removed, err)
	}
	l.write(t, "a/krazycam.json", "{ }")
	l.write(t, "var/log/messages", "new")
	fill(t, filepath.Join(l.Dir, "mine"))
	if removed, err := MakeRoom(l.Dir); err == nil || !strings.Contains(removed, "var/log") {
		t.Errorf("MakeRoom of a folder full of something else = %q, %v", removed, err)
	}
	l.check(t)
}

func TestTroubleOfAMountedPermIsSaid(t *testing.T) {
	need.Tools(t, "debugfs")
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, l loop) // of one that is mounted
		want  string
	}{
		{"nothing is wrong", func(*testing.T, loop) {}, ""},
		{"full", func(t *testing.T, l loop) { fill(t, filepath.Join(l.Dir, "mine")) }, "full"},
		{"the kernel went on read-only", func(t *testing.T, l loop) {
			if err := unix.Mount("", l.Dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}, "read-only"},
		{"the kernel found errors", func(t *testing.T, l loop) {
			l.unmounted(t)
			command(t, "debugfs", "-w", "-R", "set_super_value error_count 1", l.Node)
			l.mounted(t)
		}, "damaged"},
	} {
		l := newLoop(t, card.PermSize).mounted(t)
		c.spoil(t, l)
		if got := Trouble(l.Dir, l.Node); (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := Trouble(filepath.Join(t.TempDir(), "none"), ""); got == "" {
		t.Error("no folder at all is no trouble")
	}
}

// A service in foreign hands must not be able to fill what is saved of a damaged file system.
func TestRescueSavesRootsFilesAndSomeOfEachService(t *testing.T) {
	need.Root(t, "for files of several users")
	for _, rogues := range []map[int]string{
		{board.SourceUser: "camsource"},
		{board.SourceUser: "camsource", board.WebUser: "camweb"},
	} {
		dir, want := t.TempDir(), map[string]bool{"update/trial.json": true}
		write := func(name string, size, user int) {
			path := filepath.Join(dir, name)
			err := os.MkdirAll(filepath.Dir(path), 0o755)
			if err == nil {
				err = os.WriteFile(path, make([]byte, size), 0o600)
			}
			if err := errors.Join(err, os.Chown(path, user, user)); err != nil {
				t.Fatal(err)
			}
		}
		for user, folder := range rogues {
			for i := range rescueCount {
				write(fmt.Sprintf("%s/%03d", folder, i), rescueFile, user)
				write(fmt.Sprintf("%s/deep/%03d", folder, i), rescueFile, user)
			}
		}
		write("update/trial.json", 100, 0)
		for i := range 16 { // a megabyte of root's, which comes last
			name := fmt.Sprintf("zz%02d", i)
			write(name, rescueFile, 0)
			want[name] = true
		}
		write("camweb/tls.pem", 1000, board.WebUser)
		want["camweb/tls.pem"] = rogues[board.WebUser] == ""
		files, total := map[int]int{}, 0
		for _, f := range rescue(dir) {
			if f.mode.IsRegular() {
				files[f.uid]++
				total += len(f.content)
			}
			delete(want, f.path)
		}
		for user := range rogues {
			if files[user] != rescueEach {
				t.Errorf("%d files of user %d, want %d", files[user], user, rescueEach)
			}
		}
		maps.DeleteFunc(want, func(_ string, wanted bool) bool { return !wanted })
		if len(want) > 0 || total > rescueAll {
			t.Errorf("with %v filled: not saved: %v; %v files of the users, %d bytes", rogues, want, files, total)
		}
	}
}

// as runs a shell's words as one of the board's users, in foreign hands.
func as(t *testing.T, user int, words string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", words)
	cmd.SysProcAttr = &unix.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	out, _ := cmd.CombinedOutput() // it ends when nothing fits any more
	if !strings.Contains(string(out), "No space left") {
		t.Fatalf("user %d filled nothing: %s", user, out)
	}
}

// Root must be able to keep what it tries, whatever a service does; else no update could mend that.
func TestAServiceThatFillsPermLeavesRoomForRoot(t *testing.T) {
	need.Tools(t, "dd", "seq", "xargs", "touch")
	for name, words := range map[string]string{
		"one large file": "dd if=/dev/zero of=large bs=1M",
		"a large key":    "dd if=/dev/zero of=tls.pem bs=1M",
		"many files":     "mkdir -p many && cd many && seq 1 40000 | xargs touch",
	} {
		for folder, user := range map[string]int{"camsource": board.SourceUser, "camweb": board.WebUser} {
			t.Run(folder+", "+name, func(t *testing.T) {
				l := newLoop(t, card.PermSize).mounted(t)
				own := filepath.Join(l.Dir, folder)
				l.write(t, folder+"/tls.pem", "key")
				if err := os.Chown(filepath.Join(own, "tls.pem"), user, user); err != nil {
					t.Fatal(err)
				}
				// The folder of a test is for its user alone.
				err := errors.Join(os.Chown(own, user, user), os.Chmod(filepath.Dir(filepath.Dir(l.Dir)), 0o755))
				if err != nil {
					t.Fatal(err)
				}
				as(t, user, "cd "+own+" && "+words)
				path := filepath.Join(l.Dir, "update/trial.json")
				if name != "many files" {
					l.write(t, "update/trial.json", strings.Repeat(" ", 4<<20)) // even before there is room
				}
				removed, err := MakeRoom(l.Dir)
				if err != nil || !strings.Contains(removed, folder) {
					t.Fatalf("MakeRoom = %q, %v", removed, err)
				}
				l.write(t, "update/trial.json", "{}")
				if b, err := os.ReadFile(path); err != nil || string(b) != "{}" {
					t.Errorf("read back %q, %v", b, err)
				}
				kept := folder == "camweb" && name != "a large key"
				if _, err := os.Stat(filepath.Join(own, "tls.pem")); (err == nil) != kept {
					t.Errorf("the TLS key of %s: %v", folder, err)
				}
				l.check(t)
			})
		}
	}
}

// fill writes a file until the file system is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*int64(st.Bsize)-1<<20); err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	for range 1 << 16 {
		if _, err = f.Write(block); err != nil {
			break
		}
	}
	if closeErr := f.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filled, %v, %v", err, closeErr)
	}
}

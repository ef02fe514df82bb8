package perm

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// played is a partition and a kernel that answer as they are told, and note what was asked of them.
type played struct {
	mount    Mount // what is mounted; Kind "" is nothing
	answers  map[string][]error
	flaws    string
	unread   error
	writeErr error
	asked    []string
}

func (p *played) disk() Disk {
	return Disk{
		Dir: "/nowhere/perm", Node: "/dev/sda4",
		Mounted: func(string) (Mount, bool) { return p.mount, p.mount.Kind != "" },
		Mount: func(source, _, kind string, flags uintptr, options string) error {
			what := strings.TrimSpace("mount " + kind + " " + options)
			if flags&unix.MS_REMOUNT != 0 {
				what = "remount"
			}
			p.asked = append(p.asked, what)
			list := p.answers[what]
			if len(list) == 0 {
				return nil
			}
			p.answers[what] = list[1:]
			return list[0]
		},
		Unmount:  func(string) error { p.asked = append(p.asked, "unmount"); return p.next("unmount") },
		Pause:    func(time.Duration) { p.asked = append(p.asked, "pause") },
		Write:    func(string) error { p.asked = append(p.asked, "write"); return p.writeErr },
		Readable: func(string) error { return p.unread },
		Flaws:    func(string) string { return p.flaws },
	}
}

func (p *played) next(what string) error {
	list := p.answers[what]
	if len(list) == 0 {
		return nil
	}
	p.answers[what] = list[1:]
	return list[0]
}

const (
	inMemory  = "mount tmpfs " + memoryOptions
	toRescue  = "mount ext4 " + rescueOptions
	memoryFor = "in memory until the next start: "
)

func TestEnsureWritesNothingOverWhatMayBeWhole(t *testing.T) {
	three := func(err error) []error { return []error{err, err, err} }
	for _, c := range []struct {
		name  string
		p     played
		want  string // of the report's state
		asked string
	}{
		{"slow to appear: the third try mounts it", played{answers: map[string][]error{
			"mount ext4": {unix.ENXIO, unix.ENOENT}}}, OK, "mount ext4,pause,mount ext4,pause,mount ext4,remount"},
		{"it never appears", played{answers: map[string][]error{"mount ext4": three(unix.ENOENT)}},
			memoryFor, "mount ext4,pause,mount ext4,pause,mount ext4," + inMemory},
		{"the card does not answer", played{answers: map[string][]error{"mount ext4": three(unix.EIO)},
			unread: unix.EIO}, memoryFor, "mount ext4,pause,mount ext4,pause,mount ext4," + inMemory},
		{"the kernel has no memory", played{answers: map[string][]error{"mount ext4": three(unix.ENOMEM)}},
			memoryFor, "mount ext4,pause,mount ext4,pause,mount ext4," + inMemory},
		{"damaged", played{answers: map[string][]error{"mount ext4": three(unix.EUCLEAN),
			toRescue: three(unix.EUCLEAN)}}, OK,
			"mount ext4,pause,mount ext4,pause,mount ext4," + toRescue + ",write,mount ext4,remount"},
		{"damaged, and the card is locked", played{answers: map[string][]error{"mount ext4": three(unix.EINVAL),
			toRescue: three(unix.EINVAL)}, writeErr: unix.EROFS}, memoryFor,
			"mount ext4,pause,mount ext4,pause,mount ext4," + toRescue + ",write," + inMemory},
		{"a FAT", played{mount: Mount{Kind: "vfat"}}, OK, "unmount,mount ext4,remount"},
		{"a locked card", played{mount: Mount{"ext4", true}, answers: map[string][]error{"remount": {unix.EROFS}}},
			"read-only: read-only file system", "remount"},
		{"with errors, but in use", played{mount: Mount{Kind: "ext4"}, flaws: "the kernel found errors in it",
			answers: map[string][]error{"unmount": {unix.EBUSY}}},
			"damaged: the kernel found errors in it; it is in use", "unmount"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.p.disk().Ensure()
			if !strings.HasPrefix(got.State, c.want) || strings.Join(c.p.asked, ",") != c.asked {
				t.Errorf("Ensure = %+v after %q,\nwant %s after %q", got, c.p.asked, c.want, c.asked)
			}
			if lasts := got.State == OK || strings.HasPrefix(got.State, "damaged"); got.Lasts != lasts {
				t.Errorf("Ensure = %+v", got)
			}
		})
	}
}

func TestParseMountsFindsTheLastOne(t *testing.T) {
	const table = `22 1 179:2 / / ro,relatime - squashfs /dev/root ro,errors=continue
30 22 179:4 / /perm rw,relatime shared:1 master:2 - ext4 /dev/mmcblk0p4 rw
31 22 0:30 / /run rw - tmpfs tmpfs rw
garbage
`
	for _, c := range []struct {
		table string
		want  Mount
		found bool
	}{
		{table, Mount{"ext4", false}, true},
		{table + "32 22 0:31 / /perm rw - tmpfs tmpfs rw\n", Mount{"tmpfs", false}, true},
		{table + "32 22 179:4 / /perm ro,noatime - ext4 /dev/x rw\n", Mount{"ext4", true}, true},
		{table + "32 22 179:4 / /perm rw - ext4 /dev/x ro\n", Mount{"ext4", true}, true},
		{"", Mount{}, false},
	} {
		if got, found := parseMounts(c.table, "/perm"); got != c.want || found != c.found {
			t.Errorf("parseMounts = %+v, %v, want %+v", got, found, c.want)
		}
	}
}

func TestMakeRoomStopsAsSoonAsThereIsRoom(t *testing.T) {
	dir := t.TempDir()
	never := make([]bool, len(expendable)+1)
	for _, answers := range [][]bool{{true}, {false, true}, never} {
		left := slices.Clone(answers)
		removed, err := makeRoom(dir, func() (bool, error) {
			defer func() { left = left[1:] }()
			return left[0], nil
		})
		if removed != "" || (err != nil) != (len(answers) == len(never)) || len(left) > 0 {
			t.Errorf("makeRoom after %v = %q, %v, %d answers left", answers, removed, err, len(left))
		}
	}
	wrong := errors.New("wrong")
	if _, err := makeRoom(dir, func() (bool, error) { return false, wrong }); !errors.Is(err, wrong) {
		t.Errorf("makeRoom = %v", err)
	}
}

// What macOS and Windows say, on every system. testdata/README.md says where it is from.

package drive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// diskutil answers as the files in testdata do.
func diskutil(_ context.Context, name string, args ...string) ([]byte, error) {
	if name != "diskutil" || len(args) != 3 || args[1] != "-plist" {
		return nil, fmt.Errorf("asked for %s %q", name, args)
	}
	if args[0] == "list" {
		return os.ReadFile("testdata/list.plist")
	}
	disk := filepath.Base(args[2])
	if args[2] == "/" {
		disk = "root"
	}
	return os.ReadFile("testdata/info-" + disk + ".plist")
}

func TestMacListHasCardsAndNothingElse(t *testing.T) {
	drives, err := listDiskutil(t.Context(), diskutil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range drives {
		got = append(got, d.String())
	}
	want := []string{
		"/dev/disk4  Mass Storage Device, 31.9 GB, holds EFI KRAZYCAM, Linux Filesystem, open at /Volumes/KRAZYCAM",
		"/dev/disk6  Built In SDXC Reader, 15.9 GB, holds NO NAME, open at /Volumes/NO NAME",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMacRefusesWhatIsNoCard(t *testing.T) {
	for _, c := range []struct {
		name, disk string
		sure       bool
		want       error
	}{
		{"a card in a USB reader is taken", "/dev/disk4", false, nil},
		{"the disk below the system is not, even if sure", "/dev/disk0", true, ErrSystem},
		{"what APFS lays over it is not", "/dev/disk3", true, ErrNotACard},
		{"an external SSD is not", "/dev/disk5", false, ErrNotRemovable},
		{"an external SSD is taken if sure", "/dev/disk5", true, nil},
		{"a locked card is not", "/dev/disk6", false, ErrNotACard},
		{"a partition is not", "/dev/disk4s1", true, ErrNotACard},
		{"a disk that is not there is not", "/dev/disk9", true, ErrNotACard},
	} {
		size, err := checkDiskutil(t.Context(), diskutil, c.disk, c.sure)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || (size > 0) != (err == nil) {
			t.Errorf("%s: %d bytes, error %v, want %v", c.name, size, err, c.want)
		}
	}
}

func TestMacThatDoesNotSayWhatItRunsFromWritesNothing(t *testing.T) {
	const parent = "<key>ParentWholeDisk</key><string>disk%d</string>"
	for name, c := range map[string]struct {
		root  string
		taken bool
	}{
		"nothing":                           {"", false},
		"a disk that APFS laid over others": {fmt.Sprintf(parent, 3), false},
		"a virtual part of a disk": {
			fmt.Sprintf(parent, 0) + "<key>VirtualOrPhysical</key><string>Virtual</string>", false},
		"a store without a name": {
			fmt.Sprintf(parent, 3) + "<key>APFSPhysicalStores</key><array><dict/></array>", false},
		"a real disk": {fmt.Sprintf(parent, 0), true},
	} {
		says := func(ctx context.Context, program string, args ...string) ([]byte, error) {
			if args[2] == "/" {
				return []byte("<plist><dict>" + c.root + "</dict></plist>"), nil
			}
			return diskutil(ctx, program, args...)
		}
		if _, err := checkDiskutil(t.Context(), says, "/dev/disk4", true); (err == nil) != c.taken {
			t.Errorf("root: %s: error %v, taken %t is right", name, err, c.taken)
		}
		if _, err := checkDiskutil(t.Context(), says, "/dev/disk0", true); err == nil {
			t.Errorf("root: %s: the system's own disk is taken", name)
		}
	}
}

func recordedWindows(t *testing.T) windowsDrives {
	t.Helper()
	b, err := os.ReadFile("testdata/windows.json")
	if err != nil {
		t.Fatal(err)
	}
	w, err := parseWindows(b)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWindowsListHasCardsAndNothingElse(t *testing.T) {
	w := recordedWindows(t)
	drives := w.drives()
	const want = `\\.\PhysicalDrive1  Generic STORAGE DEVICE, 31.9 GB, holds FAT KRAZYCAM, open at E:`
	if len(drives) != 1 || drives[0].String() != want {
		t.Errorf("%v, want %s", drives, want)
	}
}

func TestWindowsRefusesWhatIsNoCard(t *testing.T) {
	w := recordedWindows(t)
	for _, c := range []struct {
		name   string
		number int
		letter string // of the drive that the image lies on
		sure   bool
		want   error
	}{
		{"a card in a USB reader is taken", 1, "C", false, nil},
		{"the system's disk is not, even if sure", 0, "F", true, ErrSystem},
		{"an external disk is not", 2, "C", false, ErrNotRemovable},
		{"an external disk is taken if sure", 2, "C", true, nil},
		{"the card that the image lies on is not", 1, "e", true, ErrInUse},
		{"a locked card is not", 4, "C", true, ErrNotACard},
		{"a disk that is not there is not", 7, "C", true, ErrNotACard},
	} {
		err := w.check(c.number, c.letter, c.sure)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
}

func TestEachVolumeOfAWindowsDiskIsNamed(t *testing.T) {
	w := recordedWindows(t)
	for number, want := range map[int][]string{
		0: {`\\?\Volume{0f3c6e8a-1c1d-4a41-9a55-3d1f5f0c7b11}`, `\\.\C:`},
		1: {`\\?\Volume{8a7be0a2-53c9-11ee-9d3b-806e6f6e6963}`}, // it has a letter, too; one has no file system
		2: {`\\.\F:`}, 7: nil,
	} {
		if got := w.volumes(number); !slices.Equal(got, want) {
			t.Errorf("disk %d: %q, want %q", number, got, want)
		}
	}
}

func TestScriptPrintsWhatIsParsed(t *testing.T) {
	for _, part := range []reflect.Type{reflect.TypeFor[windowsDrives](), reflect.TypeFor[windowsDisk](),
		reflect.TypeFor[windowsDrives]().Field(1).Type.Elem()} {
		for i := range part.NumField() {
			if name := part.Field(i).Name; !strings.Contains(drivesScript, " "+name+" = ") {
				t.Errorf("the script prints no %s", name)
			}
		}
	}
}

func TestScriptFitsAndIsEncoded(t *testing.T) {
	const most = 8191 // of cmd.exe, whoever calls camctl from it
	if n := len(encodedCommand(drivesScript)); n > most {
		t.Errorf("%d characters", n)
	}
	if got := encodedCommand("Get-Disk ö"); got != "RwBlAHQALQBEAGkAcwBrACAA9gA=" {
		t.Errorf("%q", got)
	}
}

func TestDevicesAreKnownByTheirNames(t *testing.T) {
	for path, want := range map[string]int{
		`\\.\PhysicalDrive2`: 2, `\\.\physicaldrive12`: 12, `\\?\PhysicalDrive0`: 0, `PhysicalDrive1`: -1,
		`\\.\PhysicalDrive`: -1, `\\.\E:`: -1, `C:\cam.img`: -1, `\\.\PhysicalDrive1\x`: -1,
	} {
		n, ok := physicalDrive(path)
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: %d, %v, want %d", path, n, ok, want)
		}
	}
	for path, want := range map[string]string{
		"/dev/disk4": "disk4", "/dev/rdisk4": "disk4", "disk12": "disk12", "/dev/disk4s1": "", "./disk.img": "",
	} {
		if m := diskName.FindStringSubmatch(path); (m != nil) != (want != "") || m != nil && m[1] != want {
			t.Errorf("%s: %q, want %q", path, m, want)
		}
	}
}

func TestPlistHasLimits(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut short": "<plist><dict><key>a</key><string>b", "no list": "what",
		"too deep":       "<plist>" + strings.Repeat("<array>", 100) + strings.Repeat("</array>", 100) + "</plist>",
		"a wrong number": "<plist><integer>many</integer></plist>",
		"too long":       "<plist><string>" + strings.Repeat("x", maxOutput) + "</string></plist>",
	} {
		if v, err := parsePlist([]byte(text)); !errors.Is(err, errOutput) {
			t.Errorf("%s: %v, %v, want errOutput", name, v, err)
		}
	}
}

func FuzzPlist(f *testing.F) {
	files, err := filepath.Glob("testdata/*.plist")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		one := func(context.Context, string, ...string) ([]byte, error) { return b, nil }
		drives, err := listDiskutil(t.Context(), one)
		if err != nil && drives != nil {
			t.Errorf("%v and %v", drives, err)
		}
		for _, d := range drives {
			if d.Size <= 0 || !diskName.MatchString(d.Path) {
				t.Errorf("%+v", d)
			}
		}
		if _, err := checkDiskutil(t.Context(), one, "/dev/disk4", true); err != nil {
			return
		}
		if _, err := parsePlist(b); err != nil {
			t.Errorf("%q is taken: %v", b, err)
		}
	})
}

func FuzzWindows(f *testing.F) {
	b, err := os.ReadFile("testdata/windows.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := parseWindows(b)
		if err != nil {
			return
		}
		for _, d := range w.drives() {
			n, ok := physicalDrive(d.Path)
			if d.Size <= 0 || ok && w.check(n, "", true) != nil && len(w.Disks) == 1 {
				t.Errorf("%+v", d)
			}
		}
	})
}

package slot

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

func TestNamesOfSlots(t *testing.T) {
	for _, c := range []struct {
		n, other          Name
		folder            string
		partition, offset int
	}{{A, B, "a", 2, 1}, {B, A, "b", 3, 2}, {None, None, "", 0, 0}} {
		if c.n.Other() != c.other || c.n.Folder() != c.folder || c.n.RootPartition() != c.partition ||
			c.n.PartitionOffset() != c.offset || c.n.Valid() != (c.n != None) {
			t.Errorf("%q: other %q, folder %q, partition %d, offset %d", c.n, c.n.Other(), c.n.Folder(),
				c.n.RootPartition(), c.n.PartitionOffset())
		}
		got, err := OfPartition(c.partition)
		if got != c.n || (err == nil) != c.n.Valid() {
			t.Errorf("OfPartition(%d) = %q, %v", c.partition, got, err)
		}
		if got, err = ParseName(string(c.n)); got != c.n || (err == nil) != c.n.Valid() {
			t.Errorf("ParseName(%q) = %q, %v", c.n, got, err)
		}
	}
}

const exampleCmdline = "console=ttyAMA0 root=PARTUUID=60c24cc1-f3f9-427a-8199-5b1ce0010001/PARTNROFF=1 " +
	"init=/gokrazy/init rootwait\n"

func TestCmdlineOfASlotDiffersInOneLetter(t *testing.T) {
	b, err := Cmdline([]byte(exampleCmdline), B)
	if err != nil || string(b) != strings.Replace(exampleCmdline, "PARTNROFF=1", "PARTNROFF=2", 1) {
		t.Errorf("Cmdline(…, b) = %q, %v", b, err)
	}
	if n, err := CmdlineSlot(b); n != B || err != nil {
		t.Errorf("CmdlineSlot = %q, %v", n, err)
	}
	if a, err := CanonicalCmdline(b); err != nil || string(a) != exampleCmdline {
		t.Errorf("CanonicalCmdline = %q, %v", a, err)
	}
}

func TestCmdlineThatNamesNoRootOfOursIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "root=/dev/mmcblk0p2", "root=PARTUUID=x/PARTNROFF=", "root=PARTUUID=x/PARTNROFF=3",
		"root=PARTUUID=x/PARTNROFF=12", "root=PARTUUID=x/PARTNROFF=1x", "other=/PARTNROFF=1 root=PARTUUID=x",
		"root=PARTUUID=x y=/PARTNROFF=1", "root=PARTUUID=x/PARTNROFF=1 root=PARTUUID=y/PARTNROFF=2",
		"xroot=PARTUUID=x/PARTNROFF=1", exampleCmdline + strings.Repeat(" ", MaxCmdline),
	} {
		if got, err := Cmdline([]byte(text), B); !errors.Is(err, ErrCmdline) {
			t.Errorf("Cmdline(%.60q) = %q, %v, want ErrCmdline", text, got, err)
		}
	}
}

func TestStateSectorIsTextForUBoot(t *testing.T) {
	got := StateSector(State{Slot: B, Try: A})
	if want := "krazycam=1\nlayout=1\nslot=b\ntry=a\n\n"; !bytes.HasPrefix(got[:], []byte(want)) {
		t.Errorf("the sector is %q, want %q at its start", got, want)
	}
	for _, s := range []State{{Slot: A}, {Slot: B}, {Slot: A, Try: B}, {Slot: B, Try: A}} {
		sector := StateSector(s)
		if got, err := ParseState(sector[:]); got != s || err != nil {
			t.Errorf("ParseState of %+v = %+v, %v", s, got, err)
		}
	}
	// What "env export -t" of U-Boot writes: sorted, a zero byte behind it, then what memory held.
	exported := append([]byte("krazycam=1\nlayout=1\nslot=b\ntry=-\n\x00"), bytes.Repeat([]byte("junk"), 128)...)
	if got, err := ParseState(exported); got != (State{Slot: B}) || err != nil {
		t.Errorf("ParseState of what U-Boot writes = %+v, %v", got, err)
	}
}

func TestAStateSectorOfSomethingElseMeansSlotA(t *testing.T) {
	whole := StateSector(State{Slot: B})
	change := func(old, new string) []byte {
		return append(bytes.Replace(whole[:], []byte(old), []byte(new), 1), make([]byte, disk.SectorSize)...)
	}
	for name, b := range map[string][]byte{
		"zeros": make([]byte, disk.SectorSize), "erased": bytes.Repeat([]byte{0xff}, disk.SectorSize),
		"short": whole[:100], "no mark": change("krazycam=1", "krazycam=2"),
		"later layout": change("layout=1", "layout=2"),
		"no slot":      change("slot=b", "slot=c"), "no line": change("slot=b", "slot b"),
		"twice":    change("try=-", "slot=a"),
		"no trial": change("try=-", "try=x"), "more": change("try=-", "try=-\nfdtfile=x"),
		"a hole": change("slot=b\n", "\x00\x00\x00\x00\x00\x00\x00"),
	} {
		if got, err := ParseState(b); got != (State{Slot: A}) || !errors.Is(err, ErrState) {
			t.Errorf("%s: ParseState = %+v, %v, want slot a and ErrState", name, got, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	sector := StateSector(State{Slot: B, Try: A})
	f.Add(sector[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if !s.Slot.Valid() || s.Try != None && !s.Try.Valid() || err != nil && s != (State{Slot: A}) {
			t.Errorf("ParseState(%q) = %+v, %v", b, s, err)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("[pi4]\nos_prefix=a/\n[pi5]\r\n os_prefix=b/\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxConfig {
			return
		}
		out, err := Config(text, B)
		if err != nil {
			return
		}
		if n, err := ConfigSlot(out); n != B || err != nil || len(out) != len(text) {
			t.Errorf("Config(%q) = %q, which names %q, %v", text, out, n, err)
		}
	})
}

func FuzzCmdline(f *testing.F) {
	f.Add([]byte(exampleCmdline))
	f.Fuzz(func(t *testing.T, line []byte) {
		out, err := Cmdline(line, B)
		if err != nil {
			return
		}
		if n, err := CmdlineSlot(out); n != B || err != nil || len(out) != len(line) {
			t.Errorf("Cmdline(%q) = %q, which names %q, %v", line, out, n, err)
		}
	})
}

package initramfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exampleModule is the smallest 32-bit ELF file with a section .modinfo of the fields.
func exampleModule(fields []string) []byte {
	info := []byte(strings.Join(fields, "\x00") + "\x00")
	strtab := []byte("\x00.modinfo\x00.shstrtab\x00")
	const headerSize, sectionSize = 52, 40
	infoAt, strAt := headerSize, headerSize+len(info)
	header := elf.Header32{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_ARM), Version: 1, Shoff: uint32(strAt + len(strtab)),
		Ehsize: headerSize, Shentsize: sectionSize, Shnum: 3, Shstrndx: 2,
	}
	copy(header.Ident[:], "\x7fELF\x01\x01\x01")
	var out bytes.Buffer
	for _, part := range []any{
		header, info, strtab, elf.Section32{},
		elf.Section32{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: uint32(infoAt), Size: uint32(len(info))},
		elf.Section32{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint32(strAt), Size: uint32(len(strtab))},
	} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			return nil // cannot fail: a buffer takes all, and the sizes are fixed
		}
	}
	return out.Bytes()
}

func TestParseModinfo(t *testing.T) {
	got, err := ParseModinfo(exampleModule([]string{
		"license=GPL", "alias=of:N*T*Cti,omap3-wdt", "alias=fs-ext4", "alias=",
		"depends=udc-core,,usbcore", "parm=x:y", "no value",
		"softdep=pre: a-b c post: d", "softdep=first pre: e", "vermagic=6.1.0-50-armmp SMP mod_unload",
	}))
	want := Modinfo{
		Release: "6.1.0-50-armmp", Depends: []string{"udc_core", "usbcore"},
		Before: []string{"a_b", "c", "e"}, After: []string{"d"}, Aliases: []string{"fs_ext4", ""},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ParseModinfo: %v, (-want +got):\n%s", err, diff)
	}
}

func TestParseModinfoRefusesWhatIsNoModule(t *testing.T) {
	whole := exampleModule([]string{"vermagic=1"})
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"a text", []byte("depends=a")},
		{"cut short", whole[:60]},
		{"no vermagic", exampleModule([]string{"depends="})},
		{"a section larger than any", exampleModule([]string{strings.Repeat("x", maxModinfo)})},
		{"no such section", bytes.Replace(whole, []byte(".modinfo"), []byte(".modinfx"), 1)},
	} {
		if got, err := ParseModinfo(c.b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: ParseModinfo = %v, %v, want ErrDamaged", c.name, got, err)
		}
	}
}

func FuzzParseModinfo(f *testing.F) {
	f.Add(exampleModule([]string{"depends=a,b", "softdep=pre: c post: d", "alias=x", "vermagic=6.1 SMP"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := ParseModinfo(b)
		if err == nil && info.Release == "" {
			t.Error("accepted a module for no kernel")
		}
	})
}

// FuzzReadTree reads mutated lists: whatever they say, nothing is asked for that is
// not there.
func FuzzReadTree(f *testing.F) {
	f.Add([]byte("kernel/lib/crc32.ko\n"), []byte("a.alias=b\x00a.alias=\x00"))
	f.Fuzz(func(t *testing.T, builtIn, info []byte) {
		tree := kernelTree(string(builtIn), string(info),
			map[string][]string{"a": {"depends=b", "softdep=pre: c"}, "b": nil})
		if _, _, err := build(t, tree, "a", "b"); err != nil {
			t.Error(err)
		}
	})
}

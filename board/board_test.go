package board

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestDetectModelKnowsTheTextsOfDeviceTrees(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Raspberry Pi 3 Model B Rev 1.2\x00", "Raspberry Pi 3 B"},
		{"Raspberry Pi 3 Model B Plus Rev 1.3\x00", "Raspberry Pi 3 B+"},
		{"Raspberry Pi 3 Model A Plus Rev 1.0\x00", "Raspberry Pi 3 A+"},
		{"Raspberry Pi 4 Model B Rev 1.4\x00", "Raspberry Pi 4 B"},
		{"Raspberry Pi 400 Rev 1.0\x00", "Raspberry Pi 400"},
		{"Raspberry Pi 5 Model B Rev 1.0\x00", "Raspberry Pi 5"},
		{"Raspberry Pi 500 Rev 1.0\x00", "Raspberry Pi 500"},
		{"Raspberry Pi Zero 2 W Rev 1.0\x00", "Raspberry Pi Zero 2 W"},
		{"TI AM335x BeagleBone Black\x00", "BeagleBone Black"},
		{"TI AM335x BeagleBone Black Wireless\x00", "BeagleBone Black"},
		{"TI AM335x BeagleBone Green\x00", "BeagleBone Green"},
		{"TI AM335x BeagleBone\x00", "unknown"},
		{"TI AM335x EVM\x00", "unknown"},
		{"linux,dummy-virt\x00", "unknown"},
		{"", "unknown"},
		{"Raspberry Pi 9", "unknown"},
	} {
		if got := DetectModel(c.text).Name; got != c.want {
			t.Errorf("DetectModel(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestEveryModelSaysHowASlotIsTried(t *testing.T) {
	for text, want := range map[string]Trial{
		"Raspberry Pi 3 Model B Rev 1.2":        UBootTry,
		"Raspberry Pi 3 Model B Plus Rev 1.3":   UBootTry,
		"Raspberry Pi 3 Model A Plus Rev 1.0":   UBootTry,
		"Raspberry Pi Zero 2 W Rev 1.0":         UBootTry,
		"Raspberry Pi 4 Model B Rev 1.4":        Tryboot,
		"Raspberry Pi 400 Rev 1.0":              Tryboot,
		"Raspberry Pi 5 Model B Rev 1.0":        Tryboot,
		"Raspberry Pi 500 Rev 1.0":              Tryboot,
		"TI AM335x BeagleBone Black":            UBootTry,
		"TI AM335x BeagleBone Green":            UBootTry,
		"Raspberry Pi Compute Module 4 Rev 1.0": "", // nobody said so
		"linux,dummy-virt":                      "",
	} {
		if got := DetectModel(text).Trial; got != want {
			t.Errorf("a slot of %q is tried by %q, want %q", text, got, want)
		}
	}
	for _, b := range All() {
		for _, m := range b.Models {
			if m.Trial == "" {
				t.Errorf("%s: %s takes no update", b.Name, m.Name)
			}
		}
	}
}

func TestSlotsNeedWhatTheirLoadersLookFor(t *testing.T) {
	for name, files := range map[string][]string{
		"rpi": {"vmlinuz", "cmdline.txt", "overlays/README", "bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb"},
		"bbb": {"vmlinuz", "cmdline.txt", "initrd.bin", "am335x-boneblack.dtb", "am335x-bonegreen.dtb"},
	} {
		b, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !slices.Contains(b.SlotFiles, file) {
				t.Errorf("%s: a slot without %s is taken", name, file)
			}
		}
	}
}

func TestFallbackIsCareful(t *testing.T) {
	m := DetectModel("linux,dummy-virt")
	if m.Width != 640 || m.Height != 480 || m.FPS != 30 || m.Speed != -12 || m.Threads != 1 {
		t.Errorf("fallback is %+v", m)
	}
}

func TestByNameListsWhatThereIs(t *testing.T) {
	if b, err := ByName("rpi"); err != nil || b.Arch != "arm64" {
		t.Errorf("ByName(rpi) = %v, %v", b.Name, err)
	}
	_, err := ByName("pi")
	if !errors.Is(err, ErrUnknown) || err.Error() != `unknown board "pi": there is rpi, bbb` {
		t.Errorf("ByName(pi): %v", err)
	}
}

func TestEveryModelSaysWhereItsValuesComeFrom(t *testing.T) {
	for _, b := range All() {
		for _, m := range b.Models {
			if m.Source == "" || m.Estimate == "" || m.Speed >= 0 || m.Threads < 1 || m.FPS < 1 || m.Bitrate < 1 {
				t.Errorf("%s: %+v", b.Name, m)
			}
		}
	}
}

func TestUVCModulesComeAfterWhatTheyNeed(t *testing.T) {
	// depends= of each module of Linux 6.12, from modules.dep.
	needs := map[string][]string{
		"videobuf2-v4l2.ko": {"videobuf2-common.ko"}, "videobuf2-memops.ko": {"videobuf2-common.ko"},
		"videobuf2-vmalloc.ko": {"videobuf2-memops.ko"},
		"uvcvideo.ko":          {"videobuf2-vmalloc.ko", "uvc.ko", "videobuf2-v4l2.ko"},
	}
	var loaded []string
	for _, m := range UVCModules() {
		name := path.Base(m)
		for _, need := range needs[name] {
			if !slices.Contains(loaded, need) {
				t.Errorf("%s is loaded before %s", name, need)
			}
		}
		loaded = append(loaded, name)
	}
}

func TestBoneLoadersFitBetweenTableAndFirstPartition(t *testing.T) {
	b, err := ByName("bbb")
	if err != nil {
		t.Fatal(err)
	}
	// Sectors: the partition table ends before 34 (UEFI 2.10 section 5.3), the first
	// partition begins at 4 MiB, MLO and u-boot.img of 2023.01 have 110,248 and 1,431,696 bytes.
	end := int64(34)
	for i, size := range []int64{110_248, 1_431_696} {
		if b.Raw[i].Sector < end {
			t.Errorf("%s begins at sector %d, before %d", b.Raw[i].Name, b.Raw[i].Sector, end)
		}
		end = b.Raw[i].Sector + (size+511)/512
	}
	if end > 8192 {
		t.Errorf("%s ends at sector %d, the first partition begins at 8192", b.Raw[1].Name, end)
	}
}

func TestCommandLinesCanBeImportedByUBoot(t *testing.T) {
	// boot.scr imports one variable, console; the kernel's last console is the board's.
	for name, last := range map[string]string{"bbb": "ttyO0,115200", "rpi": "serial0,115200"} {
		b, err := ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(b.Console); n == 0 || b.Console[n-1] != last ||
			!strings.Contains(b.Script, "env import -t ${loadaddr} ${filesize} console\n") {
			t.Errorf("%s: consoles %q, script:\n%s", name, b.Console, b.Script)
		}
		if name == "bbb" && strings.Contains(b.Script, "setexpr") {
			t.Error("the script uses setexpr, which Debian's am335x_evm does not have")
		}
	}
}

func TestConfigNamesASlotForEachModelThatChoosesItThere(t *testing.T) {
	b, err := ByName("rpi")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.Config, "os_prefix="+SlotMark+"/\nkernel=vmlinuz\n"); n != 2 {
		t.Errorf("%d models take their files from a slot, want Pi 4 and 5:\n%s", n, b.Config)
	}
	before, _, _ := strings.Cut(b.Config, "[")
	_, after, _ := strings.Cut(b.Config, "[all]")
	if strings.Contains(before+after, "kernel=") {
		t.Errorf("a model that no filter names starts a kernel:\n%s", b.Config)
	}
	if len(b.Config) > 500 {
		t.Errorf("config.txt has %d bytes, a sector 512", len(b.Config))
	}
}

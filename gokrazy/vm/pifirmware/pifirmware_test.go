package pifirmware

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// bootFiles is a boot partition with two slots, as an image of ours has it once slot b was filled.
func bootFiles(change ...func(fstest.MapFS)) fstest.MapFS {
	boot := fstest.MapFS{}
	put := func(names ...string) {
		for _, n := range names {
			boot[n] = &fstest.MapFile{Data: []byte(n)}
		}
	}
	put("bootcode.bin", "start.elf", "start4.elf", "start_cd.elf", "start4cd.elf", "u-boot.bin",
		"bcm2710-rpi-3-b.dtb", "bcm2710-rpi-3-b-plus.dtb", "bcm2710-rpi-zero-2-w.dtb", "overlays/disable-bt.dtbo")
	for _, slot := range []string{"a/", "b/"} {
		for _, n := range []string{"vmlinuz", "cmdline.txt", "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb",
			"bcm2712-rpi-5-b.dtb", "overlays/README", "overlays/disable-bt.dtbo"} {
			put(slot + n)
		}
	}
	setConfig(ConfigName, slotConfig("a/"))(boot)
	setConfig(TrybootName, slotConfig("b/"))(boot)
	for _, c := range change {
		c(boot)
	}
	return boot
}

// slotConfig is the shape of config.txt on a card of ours.
func slotConfig(prefix string) string {
	return "# krazycam\narm_64bit=1\nenable_uart=1\ndtoverlay=disable-bt\nkernel_watchdog_timeout=30\n" +
		"[pi4]\nos_prefix=" + prefix + "\nkernel=vmlinuz\n[pi5]\nos_prefix=" + prefix + "\nkernel=vmlinuz\n" +
		"[pi3]\nkernel=u-boot.bin\n[pi02]\nkernel=u-boot.bin\n[all]\n" + strings.Repeat("\n", 60)
}

func setConfig(name, text string) func(fstest.MapFS) {
	return func(boot fstest.MapFS) { boot[name] = &fstest.MapFile{Data: []byte(text)} }
}

func without(names ...string) func(fstest.MapFS) {
	return func(boot fstest.MapFS) {
		for _, n := range names {
			delete(boot, n)
		}
	}
}

func with(names ...string) func(fstest.MapFS) {
	return func(boot fstest.MapFS) {
		for _, n := range names {
			boot[n] = &fstest.MapFile{Data: []byte(n)}
		}
	}
}

func TestSelectTakesTheFilesThatARealPiTakes(t *testing.T) {
	for _, c := range []struct {
		name    string
		boot    fstest.MapFS
		model   Model
		tryboot bool
		kernel  string // and below: files; "" where the firmware stops
		cmdline string
		dtb     string
		overlay string
		ignored string // part of what is said to be left out
	}{
		{"a Pi 4 takes the promoted slot", bootFiles(), Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "a/overlays/disable-bt.dtbo", ""},
		{"a Pi 5 does, with its own device tree", bootFiles(), Pi5(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2712-rpi-5-b.dtb", "a/overlays/disable-bt.dtbo", ""},
		{"a Pi 400 goes by [pi4]", bootFiles(), Pi400(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-400.dtb", "a/overlays/disable-bt.dtbo", ""},
		{"the flag of a trial takes tryboot.txt", bootFiles(), Pi4B(), true,
			"b/vmlinuz", "b/cmdline.txt", "b/bcm2711-rpi-4-b.dtb", "b/overlays/disable-bt.dtbo", ""},
		{"a Pi 3 starts U-Boot with the device tree outside the slots", bootFiles(), Pi3B(), false,
			"u-boot.bin", "", "bcm2710-rpi-3-b.dtb", "overlays/disable-bt.dtbo", "command line cmdline.txt"},
		{"a Pi 3 B+ goes by [pi3]", bootFiles(), Pi3BPlus(), false,
			"u-boot.bin", "", "bcm2710-rpi-3-b-plus.dtb", "overlays/disable-bt.dtbo", ""},
		{"a Zero 2 W goes by [pi02] and not by [pi3]", bootFiles(), PiZero2W(), false,
			"u-boot.bin", "", "bcm2710-rpi-zero-2-w.dtb", "overlays/disable-bt.dtbo", ""},
		{"a Zero 2 W ignores the flag", bootFiles(), PiZero2W(), true,
			"u-boot.bin", "", "bcm2710-rpi-zero-2-w.dtb", "overlays/disable-bt.dtbo", ""},

		{"os_prefix without its slash is part of the names", bootFiles(setConfig(ConfigName, slotConfig("a"))),
			Pi4B(), false, "", "", "", "", "os_prefix=a: not both avmlinuz"},
		{"os_prefix without a kernel below it is ignored, and the top of the card has none",
			bootFiles(without("a/vmlinuz")), Pi4B(), false, "", "", "", "", "os_prefix=a/"},
		{"ignored, it boots what lies at the top of the card",
			bootFiles(without("a/vmlinuz"), with("vmlinuz", "cmdline.txt", "bcm2711-rpi-4-b.dtb")), Pi4B(), false,
			"vmlinuz", "cmdline.txt", "bcm2711-rpi-4-b.dtb", "overlays/disable-bt.dtbo", "os_prefix=a/"},
		{"the device tree of another model does not count", bootFiles(without("a/bcm2712-rpi-5-b.dtb")), Pi5(), false,
			"", "", "", "", "a/bcm2712-rpi-5-b.dtb"},
		{"without its README the overlays are the shared ones", bootFiles(without("a/overlays/README")), Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "overlays/disable-bt.dtbo", "a/overlays/README"},
		{"a command line that is not there is none, and no LED says so", bootFiles(without("a/cmdline.txt")), Pi4B(),
			false, "a/vmlinuz", "", "a/bcm2711-rpi-4-b.dtb", "a/overlays/disable-bt.dtbo", "a/cmdline.txt"},
		{"a name that begins with a slash has no prefix", bootFiles(with("known", "bcm2711-rpi-4-b.dtb"),
			setConfig(ConfigName, "os_prefix=a/\nkernel=/known\n")), Pi4B(), false,
			"known", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "", ""},
		{"a trial without tryboot.txt has no options at all", bootFiles(without(TrybootName)), Pi4B(), true,
			"", "", "", "", ""},
		{"an empty configuration looks for kernel8.img at the top", bootFiles(setConfig(ConfigName, ""),
			with("kernel8.img")), Pi4B(), false, "kernel8.img", "", "", "", "bcm2711-rpi-4-b.dtb"},
		{"[none] lets nothing through up to [all]", bootFiles(setConfig(ConfigName,
			"os_prefix=a/\nkernel=vmlinuz\n[none]\nos_prefix=b/\n[pi4]\nos_prefix=b/\n[all]\ndtoverlay=disable-bt\n")),
			Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "a/overlays/disable-bt.dtbo", ""},
		{"filters of two kinds must both pass", bootFiles(setConfig(ConfigName,
			"kernel=vmlinuz\nos_prefix=a/\n[tryboot]\n[pi4]\nos_prefix=b/\n")), Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "", ""},
		{"a filter of the same kind takes the place of the one before", bootFiles(setConfig(ConfigName,
			"[pi3]\nos_prefix=b/\n[pi4]\nos_prefix=a/\nkernel=vmlinuz\n")), Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "", ""},
		{"[tryboot] passes in a trial", bootFiles(setConfig(TrybootName,
			"kernel=vmlinuz\nos_prefix=a/\n[tryboot]\nos_prefix=b/\n")), Pi4B(), true,
			"b/vmlinuz", "b/cmdline.txt", "b/bcm2711-rpi-4-b.dtb", "", ""},
		{"an unknown filter lets nothing through", bootFiles(setConfig(ConfigName,
			"kernel=vmlinuz\nos_prefix=a/\n[pi99]\nos_prefix=b/\n")), Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "", "unknown filter [pi99]"},
		{"the last line of a name counts", bootFiles(setConfig(ConfigName,
			"kernel=vmlinuz\nos_prefix=b/\nos_prefix=a/\n")), Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "", ""},
		{"of a long line 98 bytes count", bootFiles(setConfig(ConfigName,
			"kernel=vmlinuz\nos_prefix=a/\nos_prefix="+strings.Repeat("x", 88)+"b/\n")), Pi4B(), false,
			"", "", "", "", "os_prefix=xxx"},
		{"lines may end as on Windows", bootFiles(setConfig(ConfigName, "kernel=vmlinuz\r\nos_prefix=a/\r\n")), Pi4B(),
			false, "a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "", ""},
		{"without its second stage a Pi 4 stops", bootFiles(without("start4.elf")), Pi4B(), false, "", "", "", "", ""},
		{"a Pi 5 has it in the EEPROM", bootFiles(without("start4.elf", "start.elf", "bootcode.bin")), Pi5(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2712-rpi-5-b.dtb", "a/overlays/disable-bt.dtbo", ""},
		{"gpu_mem=16 wants the small second stage", bootFiles(without("start4.elf"), setConfig(ConfigName,
			"gpu_mem=16\n"+slotConfig("a/"))), Pi4B(), false,
			"a/vmlinuz", "a/cmdline.txt", "a/bcm2711-rpi-4-b.dtb", "a/overlays/disable-bt.dtbo", ""},
		{"a prefix that leads out of the partition finds nothing", bootFiles(setConfig(ConfigName,
			"kernel=vmlinuz\nos_prefix=../a/\n")), Pi4B(), false, "", "", "", "", "../a/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Select(c.boot, c.model, c.tryboot)
			if c.kernel == "" {
				if !errors.Is(err, ErrNoBoot) {
					t.Errorf("Select = %+v, %v, want ErrNoBoot", s, err)
				}
			} else if err != nil || s.Kernel != c.kernel || s.Cmdline != c.cmdline || s.DTB != c.dtb ||
				strings.Join(s.Overlays, " ") != c.overlay {
				t.Errorf("Select = %+v, %v, want %s, %s, %s, %s", s, err, c.kernel, c.cmdline, c.dtb, c.overlay)
			}
			if !strings.Contains(strings.Join(s.Ignored, "\n"), c.ignored) {
				t.Errorf("Ignored = %q, want %q in it", s.Ignored, c.ignored)
			}
		})
	}
}

func TestInitramfsIsPrefixedToo(t *testing.T) {
	boot := bootFiles(with("a/initrd.bin", "initrd.bin"),
		setConfig(ConfigName, "os_prefix=a/\nkernel=vmlinuz\ninitramfs initrd.bin followkernel\n"))
	if s, err := Select(boot, Pi4B(), false); err != nil || s.Initramfs != "a/initrd.bin" {
		t.Errorf("Initramfs = %q, %v, want a/initrd.bin", s.Initramfs, err)
	}
}

func TestATrialAndTheKernelsWatchdogAreSaid(t *testing.T) {
	for _, tryboot := range []bool{false, true} {
		s, err := Select(bootFiles(), Pi4B(), tryboot)
		if err != nil || s.Tryboot != tryboot || s.WatchdogTimeout != 30 {
			t.Errorf("Select with the flag %v = %+v, %v, want watchdog 30", tryboot, s, err)
		}
	}
	if s, err := Select(bootFiles(), Pi3B(), true); err != nil || s.Tryboot || s.Config != ConfigName {
		t.Errorf("Select on a Pi 3 with the flag = %+v, %v, want config.txt", s, err)
	}
}

func TestWhatIsNotModelledIsNoGuess(t *testing.T) {
	for _, line := range []string{"include more.txt", "auto_initramfs=1", "gpu_mem=much", "start_x=1"} {
		boot := bootFiles(setConfig(ConfigName, "kernel=vmlinuz\nos_prefix=a/\n"+line+"\n"))
		if s, err := Select(boot, Pi4B(), false); err == nil || errors.Is(err, ErrNoBoot) ||
			!strings.Contains(err.Error(), "line 3") {
			t.Errorf("Select with %q = %+v, %v, want an error about line 3", line, s, err)
		}
	}
}

func TestAHugeConfigurationIsNotRead(t *testing.T) {
	boot := bootFiles(setConfig(ConfigName, strings.Repeat("\n", maxConfig+1)))
	if _, err := Select(boot, Pi4B(), false); !errors.Is(err, ErrNoBoot) {
		t.Errorf("Select = %v, want ErrNoBoot", err)
	}
}

func TestEveryModelFilterIsKnown(t *testing.T) {
	for _, m := range Models() {
		for _, f := range m.Filters {
			if !isModelFilter(f) {
				t.Errorf("%s: filter %q is not known", m.Name, f)
			}
		}
	}
}

// Whatever the text: no panic, and only files that are there are named.
func FuzzSelect(f *testing.F) {
	f.Add(slotConfig("a/"), false)
	f.Add("os_prefix=\x00/\nkernel=../../etc/passwd\n[pi4", true)
	f.Add("initramfs \ndtoverlay=,\nkernel=/\n", false)
	f.Fuzz(func(t *testing.T, text string, tryboot bool) {
		boot := bootFiles(setConfig(ConfigName, text), setConfig(TrybootName, text))
		for _, m := range Models() {
			s, err := Select(boot, m, tryboot)
			if err != nil {
				continue
			}
			for _, name := range slices.Concat([]string{s.Kernel, s.DTB, s.Cmdline, s.Initramfs}, s.Overlays) {
				if name != "" && !isFile(boot, name) {
					t.Fatalf("%s: %q is no file of the partition", m.Name, name)
				}
			}
			if _, err := fs.Stat(boot, s.Config); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What the BeagleBone's own device trees ask for, against the kernel and the initramfs of
// the image: a driver that is missing there is the one fault that QEMU cannot show.

package image

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

// A dtNode is a node of a device tree.
type dtNode struct {
	name  string // with the names of its parents
	texts map[string]string
}

// compatible is what the node says it is, the most special name first.
func (n dtNode) compatible() []string { return strings.Split(n.texts["compatible"], "\x00") }

// devices lists the nodes that a kernel makes devices of: those that say what they are, and
// that neither they nor a parent are switched off.
func devices(all []dtNode) []dtNode {
	off := map[string]bool{}
	for _, n := range all {
		s, ok := n.texts["status"]
		off[n.name] = ok && s != "okay"
	}
	return slices.DeleteFunc(all, func(n dtNode) bool {
		for p := n.name; p != "/"; p = path.Dir(p) {
			if off[p] {
				return true
			}
		}
		return n.name == "/" || n.texts["compatible"] == "" // the root is the board itself
	})
}

// parseDTB lists all nodes. Spec: Devicetree Specification 0.4, section 5.4.
func parseDTB(t *testing.T, b []byte) (all []dtNode) {
	t.Helper()
	const beginNode, endNode, property, nop, end = 1, 2, 3, 4, 9
	be := binary.BigEndian
	at, names := be.Uint32(b[8:]), b[be.Uint32(b[12:]):]
	word := func() uint32 { at += 4; return be.Uint32(b[at-4:]) }
	text := func(b []byte) string { return string(b[:bytes.IndexByte(b, 0)]) }
	stack := []dtNode{{name: "/"}}
	for {
		switch token := word(); token {
		case beginNode:
			name := text(b[at:])
			at += uint32(len(name)+4) &^ 3
			stack = append(stack, dtNode{path.Join(stack[len(stack)-1].name, name), map[string]string{}})
		case property:
			size, name := word(), text(names[word():])
			stack[len(stack)-1].texts[name] = strings.TrimSuffix(string(b[at:at+size]), "\x00")
			at += (size + 3) &^ 3
		case endNode:
			all, stack = append(all, stack[len(stack)-1]), stack[:len(stack)-1]
		case nop:
		case end:
			return all
		default:
			t.Fatalf("device tree: token %d at byte %d", token, at-4)
		}
	}
}

// serves reports whether a module says that it drives one of the devices: its alias is
// "of:N*T*Cti,omap3-wdt", and the same with "C*" behind it.
func serves(module []byte, compatible []string) bool {
	return slices.ContainsFunc(compatible, func(c string) bool {
		return bytes.Contains(module, []byte("alias=of:N*T*C"+c+"\x00"))
	})
}

// inKernel reports whether the kernel knows one of the names: its tables of devices hold
// them as texts.
func inKernel(kernel []byte, compatible []string) bool {
	return slices.ContainsFunc(compatible, func(c string) bool { return bytes.Contains(kernel, []byte(c+"\x00")) })
}

// boneNeeds are the devices without which no stream leaves the board, and the module of
// the initramfs that drives each.
var boneNeeds = map[string]string{
	"ti,omap3-wdt": "omap_wdt", "ti,am335-sdhci": "sdhci-omap",
	"ti,am335x-cpsw-switch": "ti_cpsw_new", "ti,cpsw-mdio": "davinci_mdio", "ti,am3352-phy-gmii-sel": "phy-gmii-sel",
	"ti,musb-am33xx": "musb_dsps", "ti,am335x-usb-phy": "phy-am335x",
	"ti,am335x-usb-ctrl-module": "phy-am335x-control", "ti,am3359-cppi41": "cppi41",
	"ti,omap4-rng": "omap-rng",
}

// boneLeavesOut are devices for which Debian has a module that does not go in.
var boneLeavesOut = map[string]string{
	"ti,omap4-aes": "ciphers: the processor's own code does", "ti,omap4-sham": "hashes: the same",
	"atmel,24c256":          "EEPROMs: U-Boot has read them",
	"ti,am33xx-tilcdc":      "HDMI stays dark",
	"nxp,tda998x":           "the same",
	"gpio-leds":             "the four blue LEDs",
	"ti,am33xx-mcasp-audio": "sound", "simple-audio-card": "sound",
	// Its regulators have no driver in Debian, and nothing above hangs on one: the card
	// has a fixed one, which is built in.
	"ti,tps65217": "power chip", "ti,tps65217-pwrbutton": "power button", "ti,tps65217-charger": "battery",
}

// boneLacks are devices that Debian's kernel has no driver for, or knows under the name of
// their parents: none of them is in the way of a stream.
var boneLacks = []string{
	// Clock and sleep stay as U-Boot left them.
	"arm,cortex-a8", "arm,idle-state", "operating-points-v2-ti-cpu", "ti,omap3-mpu", "ti,emif-am3352", "ti,sram",
	"ti,am3352-wkup-m3", "ti,am3352-wkup-m3-ipc", "ti,omap4-hwspinlock", "ti,omap4-cm", "ti,clksel",
	"ti,pruss-intc", "ti,am3356-pru", "ti,am3356-pruss",
}

// A boneSystem is what one image brings for the devices of its board.
type boneSystem struct {
	kernel []byte            // unpacked
	initrd map[string][]byte // modules in the initramfs
	others map[string][]byte // modules of the kernel's package that know device trees
	trees  []disk.Entry
}

func readBoneSystem(t *testing.T) boneSystem {
	t.Helper()
	p := boneParts(t)
	m, err := readParts(boneBoard(t), p)
	if err != nil {
		t.Fatal(err)
	}
	s := boneSystem{initrd: map[string][]byte{}, others: map[string][]byte{}, trees: m.slot}
	s.kernel = unpackZImage(t, m.kernel)
	for _, e := range m.initrd.modules {
		s.initrd[strings.TrimSuffix(path.Base(e.Path), ".ko")] = e.Bytes
	}
	folder, err := m.moduleFolder(p)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(folder, "kernel"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if module := strings.TrimSuffix(path.Base(name), ".ko"); s.initrd[module] == nil &&
			bytes.Contains(b, []byte("alias=of:")) {
			s.others[module] = b
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fault says what is wrong with how a device is served, "" if nothing is; entry is the line
// of the tables above that it is judged by.
func (s boneSystem) fault(device dtNode) (fault, entry string) {
	c := device.compatible()
	if at := slices.IndexFunc(c, func(c string) bool { return boneNeeds[c] != "" }); at >= 0 {
		if module := boneNeeds[c[at]]; !serves(s.initrd[module], c) {
			return "no module " + module + " in the initramfs that drives it", c[at]
		}
		return "", c[at]
	}
	known := inKernel(s.kernel, c)
	if boneLeavesOut[c[0]] != "" || slices.Contains(boneLacks, c[0]) {
		if known {
			return "the kernel has a driver after all", c[0]
		}
		return "", c[0]
	}
	for module, b := range s.others {
		if serves(b, c) {
			return module + " drives it and is not in the initramfs", ""
		}
	}
	if !known {
		return "no driver anywhere", ""
	}
	return "", ""
}

func TestWatchdogOfABoneIsLoadedBeforeAnythingElse(t *testing.T) {
	m, err := readParts(boneBoard(t), boneParts(t))
	if err != nil {
		t.Fatal(err)
	}
	// U-Boot has started it with 60 s, and storage may take its time.
	if first := path.Base(m.initrd.modules[0].Path); first != "omap_wdt.ko" {
		t.Errorf("the first module is %s, want omap_wdt.ko", first)
	}
}

func TestEveryDeviceOfABoneHasItsDriverOrAReason(t *testing.T) {
	s := readBoneSystem(t)
	used := map[string]bool{}
	for _, tree := range s.trees {
		needed := map[string]bool{}
		all := devices(parseDTB(t, tree.Bytes))
		for _, device := range all {
			fault, entry := s.fault(device)
			if fault != "" {
				t.Errorf("%s: %s: %q: %s", tree.Path, device.name, device.compatible(), fault)
			}
			used[entry], needed[entry] = true, true
		}
		for c := range boneNeeds {
			if !needed[c] {
				t.Errorf("%s has no device %s", tree.Path, c)
			}
		}
		t.Logf("%s: %d devices", tree.Path, len(all))
	}
	for c := range boneLeavesOut {
		if !used[c] {
			t.Errorf("no device tree has a device %s", c)
		}
	}
	for _, c := range boneLacks {
		if !used[c] {
			t.Errorf("no device tree has a device %s", c)
		}
	}
}

package image

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// The BeagleBone's own U-Boot never runs here, and the Pi's never on a Pi, but their commands and
// their default environment are texts in them: what a script uses must be among them.
func TestEveryLoaderKnowsWhatItsBootScriptUses(t *testing.T) {
	_, bone := imagetest.BonePackages(t)
	need.File(t, vm.UBootFile, "scripts/setup")
	for name, c := range map[string]struct{ file, script string }{
		"am335x_evm": {filepath.Join(bone.Folder, "u-boot.img"), boneBoard(t).Script},
		"qemu_arm":   {vm.UBootFile, boneBoard(t).Script},
		"rpi_arm64":  {filepath.Join(imagetest.PiUBoot(t).Folder, card.UBootName), piBoard(t).Script},
	} {
		loader, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		shell := []string{"if", "then", "else", "fi", "for", "do", "done"}
		commands := regexp.MustCompile(`(?m)(?:^ *|\|\| |then |if )([a-z0-9]+)`).FindAllStringSubmatch(c.script, -1)
		for _, found := range commands {
			// A name may be the end of another's, as env is of setenv: the linker joins texts.
			if !slices.Contains(shell, found[1]) && !bytes.Contains(loader, []byte(found[1]+"\x00")) {
				t.Errorf("%s has no command %s", name, found[1])
			}
		}
		// distro_bootcmd, load and the board's code set these, the script itself the rest.
		given := []string{"devtype", "devnum", "distro_bootpart", "filesize", "console", "fdtcontroladdr", "fdt_addr",
			"fdtfile", "fdt_addr_r"}
		for _, set := range regexp.MustCompile(`(?m)^ *(?:setenv|for|if fdt get value|fdt get value) ([a-z]+)`).
			FindAllStringSubmatch(c.script, -1) {
			given = append(given, set[1])
		}
		variables := regexp.MustCompile(`\$\{([a-z_]+)\}`).FindAllStringSubmatch(c.script, -1)
		for _, v := range variables {
			if !slices.Contains(given, v[1]) && !bytes.Contains(loader, []byte("\x00"+v[1]+"=")) {
				t.Errorf("%s does not set %s", name, v[1])
			}
		}
		for _, want := range []string{" " + card.BootScriptName + "\x00", "\x00loadaddr="} {
			if !bytes.Contains(loader, []byte(want)) {
				t.Errorf("%s has no %q", name, want)
			}
		}
		if len(commands) < 15 || len(variables) < 15 {
			t.Errorf("%d commands and %d variables found in\n%s", len(commands), len(variables), c.script)
		}
	}
}

func TestLoaderOfABoneFindsItsBoard(t *testing.T) {
	_, firmware := imagetest.BonePackages(t)
	loader, err := os.ReadFile(filepath.Join(firmware.Folder, "u-boot.img"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x00board=am335x\x00", "\x00bootcmd=run findfdt; ", "\x00fdt_addr_r=",
		"setenv fdtfile am335x-boneblack.dtb", "setenv fdtfile am335x-bonegreen.dtb", "\x00boot_targets=mmc0 "} {
		if !bytes.Contains(loader, []byte(want)) {
			t.Errorf("u-boot.img has no %q", want)
		}
	}
}

package image

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

// The board's own U-Boot never runs here, but its commands and its default environment are
// texts in it: what the script uses must be among them.
func TestLoaderOfABoneKnowsWhatTheBootScriptUses(t *testing.T) {
	_, firmware := imagetest.BonePackages(t)
	loader, err := os.ReadFile(filepath.Join(firmware.Folder, "u-boot.img"))
	if err != nil {
		t.Fatal(err)
	}
	script := boneBoard(t).Config
	shell := []string{"if", "then", "fi"}
	commands := regexp.MustCompile(`(?m)(?:^ *|\|\| |then )([a-z]+)`).FindAllStringSubmatch(script, -1)
	for _, c := range commands {
		// A name may be the end of another's, as env is of setenv: the linker joins texts.
		if !slices.Contains(shell, c[1]) && !bytes.Contains(loader, []byte(c[1]+"\x00")) {
			t.Errorf("u-boot.img has no command %s", c[1])
		}
	}
	// distro_bootcmd, load and the script itself set these.
	given := []string{"devtype", "devnum", "distro_bootpart", "filesize", "console", "bootfdt", "fdtcontroladdr"}
	variables := regexp.MustCompile(`\$\{([a-z_]+)\}`).FindAllStringSubmatch(script, -1)
	for _, v := range variables {
		if !slices.Contains(given, v[1]) && !bytes.Contains(loader, []byte("\x00"+v[1]+"=")) {
			t.Errorf("u-boot.img does not set %s", v[1])
		}
	}
	for _, want := range []string{"\x00board=am335x\x00", "\x00bootcmd=run findfdt; ",
		"setenv fdtfile am335x-boneblack.dtb", "setenv fdtfile am335x-bonegreen.dtb",
		" " + card.BootScriptName + "\x00", "\x00boot_targets=mmc0 "} {
		if !bytes.Contains(loader, []byte(want)) {
			t.Errorf("u-boot.img has no %q", want)
		}
	}
	if len(commands) < 15 || len(variables) < 15 {
		t.Errorf("%d commands and %d variables found in\n%s", len(commands), len(variables), script)
	}
}

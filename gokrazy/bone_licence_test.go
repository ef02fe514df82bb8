// The licences of what Debian made: its copyright files say where the long texts are on a
// Debian system, and a card is none.

package gokrazy

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func TestBootPartitionOfABoneHoldsTheTextsThatDebianNames(t *testing.T) {
	f, err := os.Open(boneImage(t).Image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	boot, _, err := card.OpenBoot(f, card.ImageSize)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])`)
	kernel, firmware := imagetest.BonePackages(t)
	for _, source := range []imagetest.Package{kernel, firmware} {
		b, err := fs.ReadFile(boot, path.Join(card.LicenceFolder, source.Name+".txt"))
		if err != nil {
			t.Errorf("%s: %v", source.Name, err)
			continue
		}
		all := named.FindAllStringSubmatch(string(b), -1)
		for _, n := range all {
			if _, text, found := strings.Cut(string(b), "==== LICENSE."+n[1]+" ====\n"); !found || !strings.Contains(text, "TERMS AND CONDITIONS") {
				t.Errorf("%s: Debian's file names %s, and its text is not on the card", source.Name, n[1])
			}
		}
		if len(all) == 0 {
			t.Errorf("%s: Debian's file names no licence at all", source.Name)
		}
	}
}

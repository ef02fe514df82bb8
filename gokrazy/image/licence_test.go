// The licences of what Debian made: its copyright files say where the long texts are on a
// Debian system, and a card is none.

package image

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func TestBootPartitionHoldsTheTextsThatDebianNames(t *testing.T) {
	bone := boneParts(t)
	holdsDebiansTexts(t, boneBoard(t), bone, bone.Kernel, bone.Firmware)
	pi := fakeParts(t)
	pi.UBoot = Package(imagetest.PiUBoot(t))
	holdsDebiansTexts(t, piBoard(t), pi, pi.UBoot)
}

// holdsDebiansTexts looks at the licences of Debian packages on a board's boot partition.
func holdsDebiansTexts(t *testing.T, b board.Board, p Parts, packages ...Package) {
	t.Helper()
	m, err := readParts(b, p)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := bootEntries(b, p, m)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, e := range entries {
		texts[e.Path] = string(e.Bytes)
	}
	named := regexp.MustCompile(`/usr/share/common-licenses/([A-Za-z0-9.-]*[A-Za-z0-9])`)
	for _, pkg := range packages {
		own := texts[path.Join(card.LicenceFolder, pkg.Name+".txt")]
		all := named.FindAllStringSubmatch(own, -1)
		for _, n := range all {
			if _, text, found := strings.Cut(own, "==== LICENSE."+n[1]+" ====\n"); !found ||
				!strings.Contains(text, "TERMS AND CONDITIONS") {
				t.Errorf("%s: Debian's file names %s, and its text is not on the card", pkg.Name, n[1])
			}
		}
		if len(all) == 0 {
			t.Errorf("%s: Debian's file names no licence at all", pkg.Name)
		}
	}
}

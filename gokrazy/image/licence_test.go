// The licences of what Debian made: its copyright files say where the long texts are on a
// Debian system, and a card is none.

package image

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
)

func TestBootPartitionOfABoneHoldsTheTextsThatDebianNames(t *testing.T) {
	p, b := boneParts(t), boneBoard(t)
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
	for _, pkg := range []Package{p.Kernel, p.Firmware} {
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

package image

import (
	"encoding/json"
	"os"
	"runtime/debug"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func TestBillListsModulesCodecsAndKernel(t *testing.T) {
	r := readOnlyImage(t)
	b, err := os.ReadFile(r.SBOM)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		SerialNumber string
		Metadata     struct{ Timestamp string }
		Components   []struct{ Name, Version string }
	}
	if err := json.Unmarshal(b, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.SerialNumber != "" || bom.Metadata.Timestamp != "" {
		t.Errorf("serial %q, time %q: two builds would differ", bom.SerialNumber, bom.Metadata.Timestamp)
	}
	have := map[string]string{}
	for _, c := range bom.Components {
		have[c.Name] = c.Version
	}
	for name, want := range map[string]string{
		"linux": imagetest.Release, "libvpx": "1.12.0-1", "libjpeg-turbo": "2.1.5",
		"example.com/kernel": "v1.0.0", "example.com/firmware": "v2.0.0",
	} {
		if have[name] != want {
			t.Errorf("%s is %q, want %q", name, have[name], want)
		}
	}
}

// What a scanner asks of each part: where it is from, and under which licence.
func TestBillNamesALicenceOnTheBootPartitionForEachPart(t *testing.T) {
	p, b := fakeParts(t), piBoard(t)
	m, err := readParts(b, p)
	if err != nil {
		t.Fatal(err)
	}
	m.about[0].modules = append(m.about[0].modules, &debug.Module{Path: "example.com/linked",
		Version: "v1.0.0", Sum: "h1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="})
	text, err := billOfMaterials(b, p, m)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		Components []struct {
			Type, Name string
			Hashes     []struct{ Alg, Content string }
			Licenses   []struct{ License struct{ Name string } }
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{moduleLicence("example.com/linked"): true}
	for _, e := range m.licences {
		files[e.Path] = true
	}
	hash := ""
	for _, c := range bom.Components {
		if c.Type == "application" { // the licences are those of what it links
			continue
		}
		if len(c.Licenses) != 1 || !files[c.Licenses[0].License.Name] {
			t.Errorf("%s has licences %v: no file on the boot partition", c.Name, c.Licenses)
		}
		if c.Name == "example.com/linked" && len(c.Hashes) == 1 {
			hash = c.Hashes[0].Alg + " " + c.Hashes[0].Content
		}
	}
	if want := "SHA-256 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"; hash != want {
		t.Errorf("hash of a module is %q, want %q", hash, want)
	}
}

package update

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// zeroHash is a well-formed hash.
var zeroHash = strings.Repeat("0", 64)

// hashN is another one for each n.
func hashN(n int) string { return fmt.Sprintf("%064x", n) }

// manifestText is a right manifest with one part of its text replaced.
func manifestText(old, replacement string) []byte {
	const text = `{
 "format": 1,
 "board": "rpi",
 "version": "v1.2.3-rc.1+x",
 "index": 1790000000,
 "trial_s": 60,
 "minimum_layout": 1,
 "keys": [],
 "parts": [
  {
   "name": "boot/overlays/README",
   "size": 0,
   "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  },
  {
   "name": "root",
   "size": 4096,
   "sha256": "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7"
  }
 ]
}
`
	if !strings.Contains(text, old) {
		panic("no " + old)
	}
	return []byte(strings.Replace(text, old, replacement, 1))
}

// Boards in the field read what later versions write, and the other way round: the form is fixed.
func TestManifestIsEncodedAsItIsRead(t *testing.T) {
	raw := manifestText("", "")
	m, err := ParseManifest(raw)
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Encode()
	if err != nil || string(again) != string(raw) {
		t.Errorf("Encode = %s, %v, want what was parsed", again, err)
	}
	if m.BundleName() != "krazycam-v1.2.3-rc.1+x-rpi.update" || m.Root().Size != 4096 || m.Root().Path() != "" ||
		m.Parts[0].Path() != "overlays/README" || m.Index != 1790000000 {
		t.Errorf("parsed as %+v", m)
	}
}

func TestManifestIsRefused(t *testing.T) {
	part := func(name string, size int64, sum string) string {
		return fmt.Sprintf(`{"name": %q, "size": %d, "sha256": %q}, `, name, size, sum)
	}
	named := func(names ...string) []byte {
		var all string
		for i, n := range names {
			all += part(n, 1, hashN(i+1))
		}
		return manifestText(`"parts": [`, `"parts": [`+all)
	}
	many := make([]string, MaxParts)
	for i := range many {
		many[i] = fmt.Sprintf("boot/f%d", i)
	}
	for name, raw := range map[string][]byte{
		"nothing":                       nil,
		"not JSON":                      []byte("MZ"),
		"an array":                      []byte("[]"),
		"null":                          []byte("null"),
		"cut":                           manifestText("\n}\n", "")[:300],
		"rubbish behind it":             append(manifestText("", ""), "{}"...),
		"longer than allowed":           append(manifestText("", ""), make([]byte, MaxManifest)...),
		"deep":                          manifestText(`"keys"`, `"x": [[[[[[[[[]]]]]]]]], "keys"`),
		"a key twice":                   manifestText(`"index"`, `"index": 1800000000, "index"`),
		"an unknown key twice":          manifestText(`"index"`, `"more": 1, "more": 2, "index"`),
		"a key in capitals":             manifestText(`"board"`, `"Board"`),
		"a key twice, once in capitals": manifestText(`"index"`, `"INDEX": 1800000000, "index"`),
		"a key with a long s":           manifestText(`"size": 4096`, `"size": 4096, "ſize": 1`),
		"a key twice in a part":         manifestText(`"size": 4096`, `"size": 1, "size": 4096`),
		"format 0":                      manifestText(`"format": 1`, `"format": 0`),
		"a negative format":             manifestText(`"format": 1`, `"format": -1`),
		"no format":                     manifestText("\"format\": 1,\n", ""),
		"a format in quotes":            manifestText(`"format": 1`, `"format": "1"`),
		"no board":                      manifestText(`"rpi"`, `""`),
		"a board that is a path":        manifestText(`"rpi"`, `"../rpi"`),
		"a version that is a path":      manifestText(`"v1.2.3-rc.1+x"`, `"../../etc/passwd"`),
		"a version with an escape":      manifestText(`"v1.2.3-rc.1+x"`, `"v\u001b[2J"`),
		"a version with a newline":      manifestText(`"v1.2.3-rc.1+x"`, `"v1\n"`),
		"no version":                    manifestText(`"v1.2.3-rc.1+x"`, `""`),
		"a long version":                manifestText(`"v1.2.3-rc.1+x"`, `"`+strings.Repeat("v", 65)+`"`),
		"index 0":                       manifestText("1790000000", "0"),
		"a negative index":              manifestText("1790000000", "-1"),
		"an index beyond all time":      manifestText("1790000000", "9223372036854775807"),
		"an index that overflows":       manifestText("1790000000", "9223372036854775808"),
		"an index that is no number":    manifestText("1790000000", "1e9"),
		"an index with a fraction":      manifestText("1790000000", "1.5"),
		"no trial":                      manifestText(`"trial_s": 60`, `"trial_s": 0`),
		"a trial without end":           manifestText(`"trial_s": 60`, `"trial_s": 3601`),
		"a negative layout":             manifestText(`"minimum_layout": 1`, `"minimum_layout": -1`),
		"a key that is none":            manifestText(`"keys": []`, `"keys": ["RWQf6LRCGA9i53mlYecO4IzT51TG"]`),
		"too many keys":                 manifestText(`"keys": []`, `"keys": [`+strings.Repeat(`"", `, MaxKeys)+`""]`),
		"no parts":                      manifestText(`"parts": [`, `"parts": [], "more": [`),
		"no root":                       manifestText(`"root"`, `"boot/root"`),
		"an empty root":                 manifestText("4096", "0"),
		"a root too large":              manifestText("4096", fmt.Sprint(MaxRoot+1)),
		"a negative size":               manifestText(`"size": 0`, `"size": -1`),
		"a size that overflows":         manifestText(`"size": 0`, `"size": 18446744073709551615`),
		"a file too large":              manifestText(`"size": 0`, fmt.Sprintf(`"size": %d`, MaxBoot+1)),
		"files too large together": manifestText(`"parts": [`, `"parts": [`+
			part("boot/a", MaxBoot/2, hashN(1))+part("boot/b", MaxBoot/2+1, hashN(2))),
		"sizes whose sum overflows 32 bit": manifestText(`"parts": [`, `"parts": [`+
			part("boot/a", 1<<31, hashN(1))+part("boot/b", 1<<31, hashN(2))),
		"too many parts":        named(many...),
		"a hash that is short":  manifestText(`"e3b0c`, `"`),
		"a hash in capitals":    manifestText(`"e3b0c`, `"E3b0c`),
		"a hash that is a path": manifestText(`"e3b0c44298fc1c14`, `"../../../../etc`),
		"a hash of two sizes": manifestText(`"parts": [`, `"parts": [`+
			part("boot/a", 1, zeroHash)+part("boot/b", 2, zeroHash)),
		"the same name twice":       named("boot/a", "boot/a"),
		"the same name on FAT":      named("boot/a", "boot/A"),
		"the root twice":            named("root"),
		"the root in capitals":      named("ROOT"),
		"a file and a folder":       named("boot/a", "boot/a/b"),
		"a folder and a file":       named("boot/a/b", "boot/A"),
		"the manifest":              named("boot/manifest.json"),
		"the manifest in capitals":  named("boot/MANIFEST.JSON"),
		"the signature":             named("boot/manifest.json.minisig"),
		"an empty name":             named(""),
		"only the prefix":           named("boot/"),
		"neither root nor boot":     named("etc/passwd"),
		"an absolute path":          named("/boot/a"),
		"a path that leads out":     named("boot/../a"),
		"a path that leads up":      named("boot/a/../../b"),
		"a path that stays":         named("boot/./a"),
		"an empty component":        named("boot//a"),
		"a slash at the end":        named("boot/a/"),
		"a backslash":               named(`boot/a\b`),
		"a drive":                   named("boot/c:a"),
		"a stream":                  named("boot/a::$DATA"),
		"a wildcard":                named("boot/*"),
		"a blank":                   named("boot/a b"),
		"a blank at the end":        named("boot/a "),
		"a dot at the end":          named("boot/a."),
		"a hidden file":             named("boot/.a"),
		"a control character":       named("boot/a\x01"),
		"a NUL":                     []byte(strings.Replace(string(named("boot/aXb")), "X", `\u0000`, 1)),
		"letters beyond ASCII":      named("boot/ä"),
		"bytes that are no UTF-8":   []byte(strings.Replace(string(named("boot/aXb")), "X", "\xff", 1)),
		"a name longer than tar's":  named("boot/" + strings.Repeat("a/", 48)),
		"a component that is long":  named("boot/" + strings.Repeat("a", 65)),
		"a name that is no string":  manifestText(`"root"`, `1`),
		"parts that are an object":  manifestText(`"parts": [`, `"parts": {}, "x": [`),
		"a size that is a fraction": manifestText("4096", "4096.5"),
	} {
		m, err := ParseManifest(raw)
		if !errors.Is(err, ErrManifest) || m.Board != "" {
			t.Errorf("%s: ParseManifest = %+v, %v, want %v", name, m, err, ErrManifest)
			continue
		}
		if text := err.Error(); len(text) > 400 || strings.ContainsAny(text, "\n\x1b\x00") {
			t.Errorf("%s: is said as %q", name, text)
		}
	}
}

func TestManifestOfALaterFormatIsRefusedInWords(t *testing.T) {
	for _, format := range []string{"2", "4294967297", "9223372036854775807"} {
		raw := manifestText(`"format": 1`, `"format": `+format+`, "delta": {"from": 1}`)
		_, err := ParseManifest(raw)
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "install a version in between") {
			t.Errorf("format %s: %v, want %v", format, err, ErrFormat)
		}
	}
}

// What a later version adds to format 1 is what an earlier one can do without.
func TestUnknownKeysOfTheSameFormatAreIgnored(t *testing.T) {
	m, err := ParseManifest(manifestText(`"size": 4096`, `"notes": {"de": ["x", {"size": 1}]}, "size": 4096`))
	if err != nil || m.Root().Size != 4096 {
		t.Errorf("ParseManifest = %+v, %v", m, err)
	}
}

func TestLargestManifestIsTaken(t *testing.T) {
	m := Manifest{Format: 1, Board: "rpi", Version: "v", Index: maxIndex, TrialS: 3600}
	for i := range MaxParts - 1 {
		name := fmt.Sprintf("boot/overlays/%s-%03d.dtbo", strings.Repeat("x", 60-9), i)
		m.Parts = append(m.Parts, Part{Name: name, Size: 100 << 10, SHA256: hashN(i)})
	}
	m.Parts = append(m.Parts, Part{Name: RootName, Size: MaxRoot, SHA256: hashN(MaxParts)})
	by := newSigner(t)
	for range MaxKeys {
		m.Keys = append(m.Keys, by.public)
	}
	raw, err := m.Encode()
	if err != nil || len(raw) > MaxManifest {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	again, err := ParseManifest(raw)
	runtime.ReadMemStats(&after)
	if err != nil || !again.Equal(m) {
		t.Errorf("ParseManifest = %v", err)
	}
	t.Logf("FIGURE update: manifest of %d parts: %d bytes, parsed with %d kB of memory",
		len(m.Parts), len(raw), (after.TotalAlloc-before.TotalAlloc)/1000)
}

func TestEncodeRefusesWhatNoBoardTakes(t *testing.T) {
	if raw, err := (Manifest{Format: 1, Board: "rpi"}).Encode(); !errors.Is(err, ErrManifest) || raw != nil {
		t.Errorf("Encode = %q, %v, want %v", raw, err, ErrManifest)
	}
}

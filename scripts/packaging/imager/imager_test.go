package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/scripts/packaging/need"
)

var testRelease = release{
	version: "v0.2.0", baseURL: "https://example.org/v0.2.0", date: "2026-11-28", iconURL: iconURL,
}

// packed makes FILE.img.xz of an image with content, and gives its path.
func packed(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("xz", path).CombinedOutput(); err != nil {
		t.Fatalf("xz: %v: %s", err, out)
	}
	return path + ".xz"
}

// makeList makes a list of both boards' images.
func makeList(t *testing.T, dir string, rpi, bbb []byte) string {
	t.Helper()
	images := []string{
		"rpi=" + packed(t, dir, "krazycam-v0.2.0-rpi.img", rpi),
		"bbb=" + packed(t, dir, "krazycam-v0.2.0-bbb.img", bbb),
	}
	if err := testRelease.check(images); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "krazycam-imager.json")
	if err := testRelease.write(out, images); err != nil {
		t.Fatal(err)
	}
	return out
}

func readList(t *testing.T, path string) list {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	var l list
	if err := d.Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestTheListFollowsImagersSchema(t *testing.T) {
	need.Tools(t, "xz", "python3")
	if out, err := exec.Command("python3", "-c", "import jsonschema").CombinedOutput(); err != nil {
		need.Missing(t, "python3-jsonschema: "+string(out))
	}
	path := makeList(t, t.TempDir(), []byte("image of a Pi"), []byte("image of a bone"))
	check := func(path string) (string, error) {
		out, err := exec.Command("python3", "-W", "ignore", "-m", "jsonschema",
			"-i", path, "testdata/os-list.schema.json").CombinedOutput()
		return string(out), err
	}
	if out, err := check(path); err != nil {
		t.Fatalf("jsonschema: %v\n%s", err, out)
	}
	// The schema finds what Imager would refuse.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []struct{ name, old, new string }{
		{"no checksum", `"extract_sha256"`, `"sha256"`},
		{"a size as text", `"extract_size": 13`, `"extract_size": "13"`},
		{"a relative URL", "https://example.org/v0.2.0/", ""},
	} {
		bad := path + ".bad"
		if err := os.WriteFile(bad, bytes.ReplaceAll(b, []byte(broken.old), []byte(broken.new)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := check(bad); err == nil {
			t.Errorf("%s: the schema finds nothing", broken.name)
		}
	}
}

func TestAnEntryHasSizesAndSumsOfTheFile(t *testing.T) {
	need.Tools(t, "xz")
	dir := t.TempDir()
	image := bytes.Repeat([]byte("krazycam"), 1<<16)
	if err := os.WriteFile(filepath.Join(dir, "krazycam-v0.2.0-rpi.img.bmap"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l := readList(t, makeList(t, dir, image, []byte("bone")))
	download, err := os.ReadFile(filepath.Join(dir, "krazycam-v0.2.0-rpi.img.xz"))
	if err != nil {
		t.Fatal(err)
	}
	got := l.OSList[0]
	if got.ExtractSize != int64(len(image)) || got.ExtractSHA256 != sum(image) {
		t.Errorf("extracted: %d bytes, %s, want %d, %s", got.ExtractSize, got.ExtractSHA256, len(image), sum(image))
	}
	if got.DownloadSize != int64(len(download)) || got.DownloadSHA256 != sum(download) {
		t.Errorf("download: %d bytes, %s, want %d, %s",
			got.DownloadSize, got.DownloadSHA256, len(download), sum(download))
	}
	if want := testRelease.baseURL + "/krazycam-v0.2.0-rpi.img.xz"; got.URL != want {
		t.Errorf("url = %q, want %q", got.URL, want)
	}
	if want := testRelease.baseURL + "/krazycam-v0.2.0-rpi.img.bmap"; got.BmapURL != want {
		t.Errorf("bmap_url = %q, want %q", got.BmapURL, want)
	}
	if bone := l.OSList[1]; bone.BmapURL != "" {
		t.Errorf("bmap_url = %q without such a file", bone.BmapURL)
	}
}

// Imager unpacks with libarchive, as bsdcat does. A release's images are packed in blocks, by two threads.
func TestImagersLibraryUnpacksWhatTheListSays(t *testing.T) {
	need.Tools(t, "xz", "bsdcat")
	dir := t.TempDir()
	path := filepath.Join(dir, "krazycam-v0.2.0-rpi.img")
	image := bytes.Repeat([]byte("krazycam"), 1<<18)
	if err := os.WriteFile(path, image, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("xz", "-T2", "--block-size=512KiB", path).CombinedOutput(); err != nil {
		t.Fatalf("xz: %v: %s", err, out)
	}
	list := filepath.Join(dir, "list.json")
	if err := testRelease.write(list, []string{"rpi=" + path + ".xz"}); err != nil {
		t.Fatal(err)
	}
	unpacked, err := exec.Command("bsdcat", path+".xz").Output()
	if err != nil {
		t.Fatalf("bsdcat: %v", err)
	}
	if got := readList(t, list).OSList[0]; got.ExtractSHA256 != sum(unpacked) || got.ExtractSize != int64(len(image)) {
		t.Errorf("the list says %d bytes, %s; bsdcat makes %d, %s",
			got.ExtractSize, got.ExtractSHA256, len(unpacked), sum(unpacked))
	}
}

// Imager shows for a chosen device the images that have one of its tags (filterOsListWithHWTags).
func TestEachDeviceFindsItsOneImage(t *testing.T) {
	need.Tools(t, "xz")
	l := readList(t, makeList(t, t.TempDir(), []byte("pi"), []byte("bone")))
	if len(l.Imager.Devices) != 5 {
		t.Errorf("%d devices, want 5", len(l.Imager.Devices))
	}
	for _, d := range l.Imager.Devices {
		var found []string
		for _, e := range l.OSList {
			for _, tag := range e.Devices {
				if tag == d.Tags[0] {
					found = append(found, e.Name)
				}
			}
		}
		want := "krazycam v0.2.0 for Raspberry Pi"
		if strings.HasPrefix(d.Name, "Beagle") {
			want = "krazycam v0.2.0 for BeagleBone Black"
		}
		if len(found) != 1 || found[0] != want {
			t.Errorf("%s finds %q, want %q", d.Name, found, want)
		}
	}
}

func TestADamagedImageMakesNoList(t *testing.T) {
	need.Tools(t, "xz")
	dir := t.TempDir()
	path := packed(t, dir, "krazycam-v0.2.0-rpi.img", bytes.Repeat([]byte("x"), 1<<16))
	if err := os.Truncate(path, 60); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "list.json")
	if err := testRelease.write(out, []string{"rpi=" + path}); err == nil || !strings.Contains(err.Error(), "xz") {
		t.Errorf("write = %v, want what xz said", err)
	}
	if exists(out) {
		t.Error("there is a list")
	}
}

func TestWrongUseIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		r      release
		images []string
	}{
		"no version":       {release{"", "https://e", "2026-11-28", iconURL}, []string{"rpi=a.img.xz"}},
		"relative URL":     {release{"v1", "files", "2026-11-28", iconURL}, []string{"rpi=a.img.xz"}},
		"no day":           {release{"v1", "https://e", "28.11.2026", iconURL}, []string{"rpi=a.img.xz"}},
		"no image":         {testRelease, nil},
		"unknown board":    {testRelease, []string{"pi=a.img.xz"}},
		"not packed by xz": {testRelease, []string{"rpi=a.img"}},
	} {
		if err := c.r.check(c.images); err == nil {
			t.Errorf("%s: check gave no error", name)
		}
	}
}

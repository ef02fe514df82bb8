package pixfmt

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseAndStringAreInverse(t *testing.T) {
	for _, s := range []string{"YUYV", "UYVY", "NV12", "YU12", "MJPG", "Y16", "H264"} {
		f, err := Parse(s)
		if err != nil {
			t.Errorf("Parse(%q): %v", s, err)
		}
		if got := f.String(); got != s {
			t.Errorf("Parse(%q).String() = %q, want %q", s, got, s)
		}
	}
	for _, s := range []string{"", "YU", "YUYV2", "YU\x00V", "YUYÜ"} {
		if f, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, f)
		}
	}
	if got, want := FourCC(1).String(), "0x00000001"; got != want {
		t.Errorf("FourCC(1).String() = %q, want %q", got, want)
	}
	// videodev2.h: v4l2_fourcc('Y', 'U', 'Y', 'V').
	if got, want := uint32(YUYV), uint32(0x56595559); got != want {
		t.Errorf("YUYV = %#x, want %#x", got, want)
	}
}

func TestJSONCarriesTheFourCharacters(t *testing.T) {
	b, err := json.Marshal(map[string]FourCC{"format": MJPG})
	if err != nil || string(b) != `{"format":"MJPG"}` {
		t.Fatalf("Marshal = %s, %v, want {\"format\":\"MJPG\"}", b, err)
	}
	var back map[string]FourCC
	if err := json.Unmarshal(b, &back); err != nil || back["format"] != MJPG {
		t.Errorf("Unmarshal = %v, %v, want MJPG", back, err)
	}
	if err := json.Unmarshal([]byte(`{"format":"M"}`), &back); err == nil {
		t.Error("Unmarshal of a one-letter code: want an error")
	}
}

func TestNewLaysPlanesOut(t *testing.T) {
	cases := []struct {
		name                  string
		format                FourCC
		width, height, stride int
		size, required        int
		planes                []Plane
	}{
		{"packed 4:2:2 takes two bytes a pixel", YUYV, 640, 480, 0, 614400, 614400, []Plane{{0, 1280, 480}}},
		{"padding counts in every row, the last too", UYVY, 640, 480, 1344, 645120, 645056, []Plane{{0, 1344, 480}}},
		{"NV12 has half as many rows of pairs", NV12, 640, 360, 0, 345600, 345600,
			[]Plane{{0, 640, 360}, {230400, 640, 180}}},
		{"YU12's chroma rows are half a stride", YU12, 320, 240, 0, 115200, 115200,
			[]Plane{{0, 320, 240}, {76800, 160, 120}, {96000, 160, 120}}},
		{"YU12 with padding", YU12, 320, 240, 384, 138240, 138208,
			[]Plane{{0, 384, 240}, {92160, 192, 120}, {115200, 192, 120}}},
		{"odd sides of YU12 are rounded up in chroma", YU12, 175, 143, 0, 37697, 37697,
			[]Plane{{0, 175, 143}, {25025, 88, 72}, {31361, 88, 72}}},
		{"an odd width of YU12 with padding", YU12, 853, 480, 864, 622080, 622075,
			[]Plane{{0, 864, 480}, {414720, 432, 240}, {518400, 432, 240}}},
		{"a JPEG has a bound and no planes", MJPG, 1280, 720, 0, 1843200, 0, []Plane{}},
	}
	for _, c := range cases {
		l, err := New(c.format, c.width, c.height, c.stride)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if l.Size != c.size {
			t.Errorf("%s: Size = %d, want %d", c.name, l.Size, c.size)
		}
		if got := l.RequiredBytes(); got != c.required {
			t.Errorf("%s: RequiredBytes() = %d, want %d", c.name, got, c.required)
		}
		p, n := l.Planes()
		if diff := cmp.Diff(c.planes, p[:n]); diff != "" {
			t.Errorf("%s: Planes() (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestLayoutsThatDoNotFitAreRefused(t *testing.T) {
	cases := []struct {
		name   string
		layout Layout
	}{
		{"nothing", Layout{}},
		{"odd width", Layout{YUYV, 641, 480, 1282, 615360}},
		{"odd height", Layout{YU12, 640, 481, 640, 461760}},
		{"odd height of NV12", Layout{NV12, 640, 481, 640, 640 * 722}},
		{"odd width of a JPEG", Layout{MJPG, 641, 480, 0, 614400}},
		{"negative width", Layout{YUYV, -2, 480, 1280, 614400}},
		{"larger than any camera", Layout{YUYV, 1 << 20, 2, 1 << 21, 1 << 22}},
		{"stride below a row", Layout{YUYV, 640, 480, 1278, 614400}},
		{"odd stride with halved chroma", Layout{YU12, 640, 480, 641, 700000}},
		{"stride beyond reason", Layout{YUYV, 640, 480, 1 << 20, 1 << 29}},
		{"size below the planes", Layout{NV12, 640, 480, 640, 460799}},
		{"a JPEG with a stride", Layout{MJPG, 640, 480, 1280, 614400}},
		{"a JPEG without a bound", Layout{MJPG, 640, 480, 0, 0}},
		{"a format nobody converts", Layout{'R' | 'G'<<8 | 'B'<<16 | '3'<<24, 640, 480, 1920, 921600}},
	}
	for _, c := range cases {
		if err := c.layout.Check(); err == nil {
			t.Errorf("%s: Check(%+v) = nil, want an error", c.name, c.layout)
		}
	}
	if l, err := New(YUYV, 640, 480, 1000); err == nil {
		t.Errorf("New with a stride below a row = %+v, want an error", l)
	}
}

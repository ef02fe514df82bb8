package board

import (
	"errors"
	"path"
	"slices"
	"testing"
)

func TestDetectModelKnowsTheTextsOfDeviceTrees(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Raspberry Pi 3 Model B Rev 1.2\x00", "Raspberry Pi 3 B"},
		{"Raspberry Pi 3 Model B Plus Rev 1.3\x00", "Raspberry Pi 3 B+"},
		{"Raspberry Pi 3 Model A Plus Rev 1.0\x00", "Raspberry Pi 3 A+"},
		{"Raspberry Pi 4 Model B Rev 1.4\x00", "Raspberry Pi 4 B"},
		{"Raspberry Pi 400 Rev 1.0\x00", "Raspberry Pi 400"},
		{"Raspberry Pi 5 Model B Rev 1.0\x00", "Raspberry Pi 5"},
		{"Raspberry Pi 500 Rev 1.0\x00", "Raspberry Pi 500"},
		{"Raspberry Pi Zero 2 W Rev 1.0\x00", "Raspberry Pi Zero 2 W"},
		{"linux,dummy-virt\x00", "unknown"},
		{"", "unknown"},
		{"Raspberry Pi 9", "unknown"},
	} {
		if got := DetectModel(c.text).Name; got != c.want {
			t.Errorf("DetectModel(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestFallbackIsCareful(t *testing.T) {
	m := DetectModel("linux,dummy-virt")
	if m.Width != 640 || m.Height != 480 || m.FPS != 30 || m.Speed != -12 || m.Threads != 1 {
		t.Errorf("fallback is %+v", m)
	}
}

func TestByNameListsWhatThereIs(t *testing.T) {
	if b, err := ByName("rpi"); err != nil || b.Arch != "arm64" {
		t.Errorf("ByName(rpi) = %v, %v", b.Name, err)
	}
	_, err := ByName("pi")
	if !errors.Is(err, ErrUnknown) || err.Error() != `unknown board "pi": there is rpi` {
		t.Errorf("ByName(pi): %v", err)
	}
}

func TestEveryModelSaysWhereItsValuesComeFrom(t *testing.T) {
	for _, b := range All() {
		for _, m := range b.Models {
			if m.Source == "" || m.Estimate == "" || m.Speed >= 0 || m.Threads < 1 || m.FPS < 1 || m.Bitrate < 1 {
				t.Errorf("%s: %+v", b.Name, m)
			}
		}
	}
}

func TestUVCModulesComeAfterWhatTheyNeed(t *testing.T) {
	// depends= of each module of Linux 6.12, from modules.dep.
	needs := map[string][]string{
		"videobuf2-v4l2.ko": {"videobuf2-common.ko"}, "videobuf2-memops.ko": {"videobuf2-common.ko"},
		"videobuf2-vmalloc.ko": {"videobuf2-memops.ko"}, "uvcvideo.ko": {"videobuf2-vmalloc.ko", "uvc.ko", "videobuf2-v4l2.ko"},
	}
	var loaded []string
	for _, m := range UVCModules() {
		name := path.Base(m)
		for _, need := range needs[name] {
			if !slices.Contains(loaded, need) {
				t.Errorf("%s is loaded before %s", name, need)
			}
		}
		loaded = append(loaded, name)
	}
}

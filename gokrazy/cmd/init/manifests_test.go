package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/slot"
)

func TestManifestsOfBothSlotsArePublishedAsTheyAre(t *testing.T) {
	boot, run := t.TempDir(), t.TempDir()
	raw := `{"format":1,"board":"rpi","version":"v1","index":7,"trial_s":5,"keys":["k"],"parts":[]}`
	for name, content := range map[string]string{"a": raw, "b": strings.Replace(raw, "v1", "v2", 1)} {
		if err := os.MkdirAll(filepath.Join(boot, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(boot, name, "manifest.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := readManifests(boot)
	if err != nil || m[slot.A].Version != "v1" || m[slot.B].Version != "v2" || m[slot.A].trialSeconds() != 5 {
		t.Fatalf("manifests %+v, %v", m, err)
	}
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(run, name))
		return string(b)
	}
	if err := m.publish(run, slot.A); err != nil || read("manifest.json") != raw ||
		!strings.Contains(read("manifest-other.json"), "v2") {
		t.Errorf("published %q and %q, %v", read("manifest.json"), read("manifest-other.json"), err)
	}
	delete(m, slot.A)
	if err := m.publish(run, slot.B); err != nil || !strings.Contains(read("manifest.json"), "v2") ||
		read("manifest-other.json") != "" {
		t.Errorf("after the promotion: %q and %q, %v", read("manifest.json"), read("manifest-other.json"), err)
	}
}

func TestBrokenManifestHidesTheOtherSlotsNot(t *testing.T) {
	boot := t.TempDir()
	for name, content := range map[string]string{"a": `{"version":"v1"}`, "b": `{"version":`} {
		if err := os.MkdirAll(filepath.Join(boot, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(boot, name, "manifest.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := readManifests(boot)
	if err == nil || m[slot.A] == nil || m[slot.B] != nil {
		t.Errorf("manifests %+v, %v, want slot a and an error about b", m, err)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"version":"v1","index":7,"trial_s":5}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err == nil && (m.trialSeconds() < 1 || m.trialSeconds() > maxTrialS || len(m.Version) > maxVersionLength) {
			t.Errorf("%+v", m)
		}
	})
}

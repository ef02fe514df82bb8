package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVMRefusesWhatItCannotBoot(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir) // no QEMU
	text := filepath.Join(dir, "text.mjpeg")
	if err := os.WriteFile(text, []byte("no clip"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"a forward without a port", []string{"vm", "cam.img", "--forward", "8443"}, exitUsage, "8443:443"},
		{"an unknown flag", []string{"vm", "cam.img", "--fast"}, exitUsage, "--fast"},
		{"an unknown machine", []string{"vm", "cam.img", "--machine", "pdp11"}, exitUsage, "virt, raspi3b"},
		{"an absent clip", []string{"vm", "cam.img", "--camera", filepath.Join(dir, "absent")}, exitFailed,
			"no such file"},
		{"a clip that is none", []string{"vm", "cam.img", "--camera", text}, exitFailed, "ffmpeg -f mjpeg"},
		{"an absent seed", []string{"vm", "cam.img", "--seed", filepath.Join(dir, "absent")}, exitFailed, "seed"},
		{"no QEMU", []string{"vm", "cam.img", "--camera", "none"}, exitFailed, "apt install"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(context.Background(), c.args, &stdout, &stderr)
			if code != c.code || !strings.Contains(stderr.String(), c.says) ||
				strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("exit %d, %q, want exit %d and one line with %q", code, stderr.String(), c.code, c.says)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout = %q, want nothing", stdout.String())
			}
		})
	}
}

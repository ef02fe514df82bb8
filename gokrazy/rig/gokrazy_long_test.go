//go:build long

// gokrazy's own protocol, as its client speaks it.

package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// changeSeed sets a key of the card's seed.
func (u *updatable) changeSeed(t *testing.T, section, key string, value any) {
	t.Helper()
	text, err := card.ReadSeed(openImage(t, u.card).boot(t))
	if err != nil {
		t.Fatal(err)
	}
	var seed map[string]map[string]any
	if err := json.Unmarshal(text, &seed); err != nil {
		t.Fatal(err)
	}
	seed[section][key] = value
	if text, err = json.Marshal(seed); err != nil {
		t.Fatal(err)
	}
	if err := card.WriteSeed(u.card, text); err != nil {
		t.Fatal(err)
	}
}

// curl asks the board for a path, with the owner's password.
func (u *updatable) curl(ctx context.Context, t *testing.T, path string, options ...string) (code, answer string) {
	t.Helper()
	args := append(options, "--silent", "--show-error", "--insecure", "--user", "admin:"+ownerPassword,
		"--write-out", "\n%{http_code}", "https://"+u.client.Host+path)
	out, err := exec.CommandContext(ctx, "curl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl %s: %v: %s", path, err, out)
	}
	end := strings.LastIndex(string(out), "\n")
	return string(out[end+1:]), strings.TrimSuffix(string(out[:end]), "\n")
}

// pushRoot sends a root as gokrazy's updater does: features, root with the hash of what came, test boot or
// switch, reboot.
func (u *updatable) pushRoot(ctx context.Context, t *testing.T, c content, start string) {
	t.Helper()
	packed, err := disk.SquashFS(c.root)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.squashfs")
	if err := os.WriteFile(root, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%08x", crc32.ChecksumIEEE(packed))
	for _, step := range []struct {
		path, want string
		options    []string
	}{
		{"/update/features", "partuuid,updatehash,", nil},
		{"/update/root", sum, []string{"--header", "X-Gokrazy-Update-Hash: crc32", "--upload-file", root}},
		{"/update/" + start, "", []string{"--request", "POST"}},
		{"/reboot", "", []string{"--request", "POST"}},
	} {
		code, answer := u.curl(ctx, t, step.path, step.options...)
		if code != "200" || step.want != "" && answer != step.want {
			t.Fatalf("%s: %s %q, want 200 %q", step.path, code, answer, step.want)
		}
	}
}

func TestGokrazysClientUpdatesAPi4ThereAndBackInVM(t *testing.T) {
	need.Tools(t, "curl")
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.start(ctx, t, vm.Config{})
	u.streams(ctx, t, "a")
	for _, path := range []string{"/update/features", "/update/root", "/update/switch"} {
		if code, _ := u.curl(ctx, t, path); code != "404" {
			t.Errorf("%s of a board whose owner did not ask for this: %s, want 404", path, code)
		}
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	u.changeSeed(t, "update", "gokrazy", true)
	u.start(ctx, t, vm.Config{})
	if s := u.streams(ctx, t, "a"); !s.Unsigned {
		t.Error("the status does not say that unsigned roots are taken")
	}
	if code, answer := u.curl(ctx, t, "/update/boot", "--request", "PUT", "--data", "x"); code != "501" {
		t.Errorf("PUT of boot files: %s %q, want 501", code, answer)
	}
	for _, to := range []struct{ slot, start string }{{"b", "testboot"}, {"a", "switch"}} {
		began := time.Now()
		u.pushRoot(ctx, t, u.content.withMark("root for "+to.slot), to.start)
		s := u.streams(ctx, t, to.slot)
		t.Logf("FIGURE rpi: a root by gokrazy's protocol (%s) runs in slot %s for good %.1f s after its upload began",
			to.start, s.Slot, time.Since(began).Seconds())
		if !strings.HasPrefix(s.Version, "unsigned-") || s.Promoted != to.slot {
			t.Errorf("version %s, promoted %s, want an unsigned one in %s", s.Version, s.Promoted, to.slot)
		}
	}
}

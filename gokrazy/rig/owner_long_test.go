//go:build long

// What an owner has set, over a version that fails and the next one that stays; and a reset.

package rig

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// repairPerm is for a card whose board lost its power: e2fsck takes the journal up, as the kernel would. It
// gets the partition as a file, because it forgets the offset of one once it has taken a journal up.
func repairPerm(t *testing.T, path string) {
	t.Helper()
	c := openCard(t, path)
	at := c.table.Partitions[card.Perm]
	f, err := os.Create(filepath.Join(t.TempDir(), "perm"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(c, at.Start, at.Size)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("e2fsck", "-p", f.Name()).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Fatalf("e2fsck: %v: %s", err, out)
	}
	if _, err := io.Copy(io.NewOffsetWriter(c, at.Start), io.NewSectionReader(f, 0, at.Size)); err != nil {
		t.Fatal(err)
	}
}

// permFile reads a file of /perm.
func permFile(t *testing.T, path, name string) string {
	t.Helper()
	out := run(t, nil, "debugfs", "-R", "cat "+name, perm(t, path))
	_, text, _ := strings.Cut(out, "\n") // behind the name of debugfs, which is no JSON
	return text
}

// The power goes while a new version is on trial, its owner sets a key that only that version knows, and
// one that both know. It is tried again, and fails.
func TestSettingsOfAFailedVersionWaitForTheNextInVM(t *testing.T) {
	need.Tools(t, "debugfs", "e2fsck")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.start(ctx, t, vm.Config{Watchdog: true})
	u.streams(ctx, t, "a")
	u.cutOnTrial(ctx, t, sourceExits(t, u.content), "v-source-exits")
	repairPerm(t, u.card)
	before := permFile(t, u.card, "b/krazycam.json")
	_, rest, _ := strings.Cut(before, `"stream"`)
	at := len(before) - len(rest) + strings.Index(rest, "{") + 1
	set := before[:at] + `"speed": -9, "mirror": true, ` + before[at:]
	putFiles(t, u.card, map[string]string{"b/krazycam.json": set})
	u.start(ctx, t, vm.Config{Watchdog: true})
	s := u.streams(ctx, t, "a")
	for ; s.Failed == nil; s = u.streams(ctx, t, "a") { // it is tried once more after a pause
		time.Sleep(time.Second)
	}
	left := []string{"stream.mirror", "stream.speed"}
	if got := slices.Sorted(slices.Values(s.LeftBehind)); !slices.Equal(got, left) {
		t.Errorf("left behind: %q, want %q", got, left)
	}
	t.Logf("FIGURE rpi: after %s failed (%s) it streams without %q", s.Failed.Version, s.Failed.Because, s.LeftBehind)
	u.mustUpdate(ctx, t, u.signer.bundle(t, u.content.withMark("good"), "v-good"), remote.ResultPromoted)
	// The next version knows one of the two; the other one waits for a version that does.
	if s := u.streams(ctx, t, "b"); !slices.Equal(s.LeftBehind, []string{"stream.mirror"}) {
		t.Errorf("after the next version %q are left behind, want stream.mirror", s.LeftBehind)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	repairPerm(t, u.card)
	if now := permFile(t, u.card, "b/krazycam.json"); !regexp.MustCompile(`"speed": ?-9`).MatchString(now) {
		t.Errorf("the settings of the next version lack the speed: %s", now)
	}
	waits := permFile(t, u.card, "left-behind.json")
	if !regexp.MustCompile(`"key": ?"mirror",\s*"value": ?true`).MatchString(waits) {
		t.Errorf("what waits lacks mirror: %s", waits)
	}
}

// cutOnTrial sends a version and pulls the power once it is on trial.
func (u *updatable) cutOnTrial(ctx context.Context, t *testing.T, c content, version string) {
	t.Helper()
	b := u.signer.bundle(t, c, version)
	sending, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := u.client.Update(sending, b, nil)
		stop() // the board refused it, if it is not on trial yet
		ended <- err
	}()
	if _, err := u.WaitLine(sending, regexp.MustCompile(version+" is on trial in slot b")); err != nil {
		t.Fatalf("the update ended before its trial: %v", <-ended)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
}

func TestAFileResetRestoresTheFactoryConfigurationInVM(t *testing.T) {
	need.Tools(t, "debugfs", "mcopy")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	putFiles(t, u.card, map[string]string{"a/krazycam.json": `{"stream": {"size": "160x120"}}`})
	empty := filepath.Join(t.TempDir(), "reset")
	run(t, nil, "touch", empty)
	run(t, nil, "mcopy", "-i", bootPartition(t, u.card), empty, "::reset")
	u.start(ctx, t, vm.Config{})
	if _, err := u.WaitLine(ctx, regexp.MustCompile("the file reset restores the factory configuration")); err != nil {
		t.Fatal(err)
	}
	u.streams(ctx, t, "a") // by the seed: the gateway and the password are in it
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	u.start(ctx, t, vm.Config{}) // the same file counts once
	u.streams(ctx, t, "a")
	for _, l := range u.Lines() {
		if strings.Contains(l.Text, "the file reset restores") {
			t.Errorf("at the next start: %s", l.Text)
		}
	}
}

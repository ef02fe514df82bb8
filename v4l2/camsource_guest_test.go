//go:build vm

// The program camsource beside a driver: exit code and the one line on stderr. Runs inside
// the VM that vivid_test.go boots, where there is nothing else: no libc, no loader, no shell.

package v4l2

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// camsource runs it until it ends by itself.
func camsource(t *testing.T, camera string) (code int, stderr string) {
	t.Helper()
	args := []string{"--rtp", "127.0.0.1:5004", "--rtcp", "127.0.0.1:5005"}
	if camera != "" {
		args = append(args, "--camera", camera)
	}
	cmd := exec.CommandContext(t.Context(), "/camsource", args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// outputNode is a node of vivid that takes pictures instead of giving some.
func outputNode(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/dev/video0", "/dev/video1", "/dev/video2", "/dev/video3"} {
		n, err := openNode(path)
		if errors.Is(err, ErrNotCapture) {
			return path
		}
		if err != nil {
			t.Logf("%s: %v", path, err)
			continue
		}
		n.Close()
	}
	t.Fatal("vivid has no node for output")
	return ""
}

func TestProgramEndsWithOneLineThatSaysWhatIsWrong(t *testing.T) {
	output := outputNode(t)
	c := mustOpen(t, wish)
	for _, bad := range []struct{ name, camera, want string }{
		{"busy, named", "/dev/video0", ErrBusy.Error()},
		{"busy, the first that fits", "", ErrBusy.Error()},
		{"a node that cannot capture", output, ErrNotCapture.Error()},
		{"no node of that name", "/dev/video63", ErrNoCamera.Error()},
		{"no camera of that name", "C920", ErrNoCamera.Error()},
	} {
		mustEnd(t, bad.name, bad.camera, bad.want)
	}
	if err := c.Next(5*time.Second, ignore); err != nil {
		t.Errorf("the one who has the camera: %v", err)
	}
	defer removeNode(t, "/dev/video0")()
	mustEnd(t, "no camera at all", "", ErrNoCamera.Error())
}

// removeNode takes a device file away and returns what puts it back for the tests behind this one.
func removeNode(t *testing.T, path string) (restore func()) {
	t.Helper()
	var node unix.Stat_t
	if err := errors.Join(unix.Stat(path, &node), os.Remove(path)); err != nil {
		t.Fatalf("take %s away: %v", path, err)
	}
	return func() {
		if err := unix.Mknod(path, node.Mode, int(node.Rdev)); err != nil {
			t.Errorf("put %s back: %v", path, err)
		}
	}
}

// mustEnd complains unless camsource fails with exit code 1 and one line with want.
func mustEnd(t *testing.T, name, camera, want string) {
	t.Helper()
	code, said := camsource(t, camera)
	t.Logf("%s: exit code %d, %q", name, code, said)
	if code != 1 || strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "camsource: ") ||
		!strings.Contains(said, want) {
		t.Errorf("%s: exit code %d, %q, want 1 and one line with %q", name, code, said, want)
	}
}

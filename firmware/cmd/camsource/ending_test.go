package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Wherever camsource waits: a signal ends it within a second. On a busy machine the kernel alone
// takes longer to start and end a process; what that takes is measured in the same run.
func TestProcessEndsWithinASecondOfASignal(t *testing.T) {
	path := program(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	// The id of a stream that may be running and must be stopped at the end, where the user that
	// root becomes can read it: not below t.TempDir, which is root's.
	state, err := os.MkdirTemp("", "camsource-state-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	if err := errors.Join(os.Chmod(state, 0o755),
		os.WriteFile(filepath.Join(state, "utilization_id"), []byte(`"id"`), 0o644)); err != nil {
		t.Fatal(err)
	}
	media, reports := sink(t), sink(t)
	begin := time.Now()
	if err := exec.Command(path, "version").Run(); err != nil {
		t.Fatal(err)
	}
	slack := 5 * time.Since(begin)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"a gateway that is silent", []string{"--camera", "pattern", "--state", state, "--allow-http",
			"--allow-loopback", "--gateway", "http://" + silent.Addr().String() + "/", "--key", "k"}},
		{"a stream", []string{"--camera", "pattern", "--rtp", media.LocalAddr().String(),
			"--rtcp", reports.LocalAddr().String()}},
		{"a bench", []string{"bench"}},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			cmd := exec.Command(path, c.args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second + slack) // until it waits
			begin := time.Now()
			if err := cmd.Process.Signal(signal); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			_ = cmd.Wait() // a bench without a row has failed
			took := time.Since(begin)
			t.Logf("FIGURE camsource, %s, ends %v after signal %v", c.name, took.Round(time.Millisecond), signal)
			if took > time.Second+slack {
				t.Errorf("%s: %v took %v, want at most %v", c.name, signal, took, time.Second+slack)
			}
		}
	}
}

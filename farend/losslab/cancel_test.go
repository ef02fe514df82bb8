//go:build linux

package losslab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestLossLabLeavesNothingBehindWhenItIsInterrupted(t *testing.T) {
	s := find(t, "bottleneck-avp").Lasting(30 * time.Second)
	setup := setUp(t, []Scenario{s.Lasting(5 * time.Second)})
	for _, sender := range []string{Camsource, GStreamer} {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		_, err := Run(ctx, setup, s, sender, 1)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s: Run = %v, want the context's error", sender, err)
		}
	}
	if got, mine := output(t, exec.Command("ip", "netns")),
		fmt.Sprintf("-%d-", os.Getpid()); strings.Contains(got, mine) {
		t.Errorf("namespaces are left: %s", got)
	}
	left := output(t, exec.Command("ps", "-o", "args=", "--ppid", fmt.Sprint(os.Getpid())))
	if strings.Contains(left, "gst-launch") || strings.Contains(left, setup.Camsource) {
		t.Errorf("programs are left:\n%s", left)
	}
}

func TestLossLabSaysWhatASenderThatDiesSaid(t *testing.T) {
	s := find(t, "clean").Lasting(5 * time.Second)
	setup := setUp(t, []Scenario{s})
	setup.CamsourceFlags = []string{"--no-such-flag"}
	if _, err := Run(t.Context(), setup, s, Camsource, 1); err == nil ||
		!strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("Run = %v, want camsource's own words", err)
	}
}

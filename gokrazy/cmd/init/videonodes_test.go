package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// Files stand in for nodes: owner and mode are all that is changed.
func TestVideoNodesAreGivenAsTheyAppear(t *testing.T) {
	dev := t.TempDir()
	there := filepath.Join(dev, "video0")
	other := filepath.Join(dev, "watchdog")
	writeSecret(t, there)
	var shared atomic.Int32
	share := func(int) error { shared.Add(1); return nil }
	if err := watchVideoNodes(t.Context(), quiet, dev, os.Getgid(), share); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, there); got != 0o660 {
		t.Errorf("a node that was there has mode %v, want 0660", got)
	}
	plugged := filepath.Join(dev, "video1")
	writeSecret(t, other)
	writeSecret(t, plugged)
	if !within(10*time.Second, func() bool { return mode(t, plugged) == 0o660 }) {
		t.Errorf("a new node has mode %v, want 0660", mode(t, plugged))
	}
	if !within(10*time.Second, func() bool { return shared.Load() >= 2 }) {
		t.Errorf("what else belongs to a camera was given %d times, want at the beginning and with the new node",
			shared.Load())
	}
	if got := mode(t, other); got != 0o600 {
		t.Errorf("another node has mode %v, want 0600 as it was", got)
	}
}

func TestVideoNodesAreLeftAloneAfterTheEnd(t *testing.T) {
	dev := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	if err := watchVideoNodes(ctx, quiet, dev, os.Getgid(), none); err != nil {
		t.Fatal(err)
	}
	cancel()
	// The watch ends a moment after its context.
	n := 0
	ended := within(time.Second, func() bool {
		late := filepath.Join(dev, fmt.Sprintf("video%d", n))
		n++
		writeSecret(t, late)
		return !within(20*time.Millisecond, func() bool { return mode(t, late) == 0o660 })
	})
	if !ended {
		t.Errorf("each of %d nodes that came after the end was given away", n)
	}
}

func TestWatchVideoNodesNeedsAFolder(t *testing.T) {
	if err := watchVideoNodes(t.Context(), quiet, filepath.Join(t.TempDir(), "none"), os.Getgid(), none); err == nil {
		t.Error("watchVideoNodes of a folder that is not there: no error")
	}
}

func none(int) error { return nil }

func writeSecret(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// within waits for the kernel's events, which no fake clock moves.
func within(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if done() {
			return true
		}
	}
	return done()
}

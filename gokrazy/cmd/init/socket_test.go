package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/control"
)

// serveRequests answers every request with what answer says, until the test ends.
func serveRequests(t *testing.T, allowed []int, answer func(string) error) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "init.sock")
	requests := make(chan request)
	server, err := listenForRequests(path, os.Getgid(), requests, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	server.allowed = allowed
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.serve(ctx) })
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case r := <-requests:
				r.answer <- answer(r.Ask)
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return path
}

func TestRequestsOfAllowedUsersAreAnswered(t *testing.T) {
	path := serveRequests(t, []int{os.Getuid()}, func(ask string) error {
		if ask == control.AskApply {
			return errors.New("slot b is on trial")
		}
		return nil
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v, want one for its group", info.Mode(), err)
	}
	for range 20 { // more than at a time
		if a, err := control.Ask(t.Context(), path, control.Request{Ask: control.AskReboot}); err != nil || !a.OK {
			t.Fatalf("reboot: %+v, %v", a, err)
		}
	}
	a, err := control.Ask(t.Context(), path, control.Request{Ask: control.AskApply})
	if err != nil || a.OK || a.Error != "slot b is on trial" {
		t.Errorf("apply: %+v, %v, want the refusal", a, err)
	}
	if a, err := control.Ask(t.Context(), path, control.Request{Ask: "format"}); err != nil || a.OK {
		t.Errorf("a word that nobody knows: %+v, %v", a, err)
	}
}

func TestRequestsOfOtherUsersReachNobody(t *testing.T) {
	path := serveRequests(t, []int{os.Getuid() + 1}, func(string) error {
		t.Error("the request came through")
		return nil
	})
	if a, err := control.Ask(t.Context(), path, control.Request{Ask: control.AskReboot}); err == nil {
		t.Errorf("answered: %+v", a)
	}
}

func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	path := serveRequests(t, []int{os.Getuid()}, func(string) error { return nil })
	for range maxAsking - 1 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if a, err := control.Ask(t.Context(), path, control.Request{Ask: control.AskReboot}); err != nil || !a.OK {
		t.Errorf("reboot: %+v, %v", a, err)
	}
}

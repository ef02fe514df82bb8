// Where the API key of camctl receive comes from.

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway"
)

func writeKeyFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return path
}

func TestReceiveTakesItsKeyFromAFileAndDoesNotPrintIt(t *testing.T) {
	state := t.TempDir()
	r := startReceive(t, "--state", state, "--key-file", writeKeyFile(t, "sesame\n", 0o640))
	defer func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}()
	for key, right := range map[string]bool{"sesame": true, "other": false} {
		client, err := gateway.NewClient(gateway.ClientConfig{URL: r.url, Key: key, AllowHTTP: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.NewUtilizationID(t.Context()); (err == nil) != right {
			t.Errorf("NewUtilizationID with key %q = %v, want it granted: %v", key, err, right)
		}
	}
	if _, err := os.Stat(filepath.Join(state, "key")); r.key != "" || err == nil {
		t.Errorf("printed %q, state/key: %v, want nothing printed or kept of a key that was given", r.key, err)
	}
}

func TestReceiveRefusesAKeyFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	cases := []struct {
		name, path, want string
	}{
		{"that is not there", filepath.Join(t.TempDir(), "none"), "no such file"},
		{"that is empty", writeKeyFile(t, " \n", 0o600), "one line"},
		{"of two lines", writeKeyFile(t, "a\nb\n", 0o600), "one line"},
		{"that is too long", writeKeyFile(t, strings.Repeat("k", keyFileMax+1), 0o600), "more than 4096 bytes"},
		{"that is a folder", t.TempDir(), "--key-file"},
		{"that others can read", writeKeyFile(t, "k\n", 0o604), "chmod 600"},
		{"that others can write", writeKeyFile(t, "k\n", 0o602), "chmod 600"},
	}
	for _, c := range cases {
		err := runReceive(t, "--key-file", c.path, "--state", t.TempDir())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("a file %s: receive = %v, want an error with %q", c.name, err, c.want)
		}
	}
	err := runReceive(t, "--key", "k", "--key-file", writeKeyFile(t, "k\n", 0o600), "--state", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "key-file") {
		t.Errorf("--key and --key-file together: receive = %v, want an error that names both", err)
	}
}

// On a FAT card or a share, whatever is made is readable by all.
func TestReceiveStartsAgainWhereModesDoNotHold(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	state := t.TempDir()
	if err := startReceive(t, "--state", state, "--tls").stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"key", "gateway-key.pem"} {
		if err := os.Chmod(filepath.Join(state, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	printed, err := receiveOnce(t, "--state", state, "--tls")
	if err != nil {
		t.Fatalf("the second start: %v", err)
	}
	for _, want := range []string{"other users can read the API key", "other users can read its key"} {
		if !strings.Contains(printed, want) {
			t.Errorf("printed %q, want a warning %q", printed, want)
		}
	}
}

// receiveOnce runs a camctl receive until it is ready, and gives what it printed.
func receiveOnce(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd, printed := newReceiveCommand(), &lockedBuffer{}
	cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0", "--rtp", "0", "--rtcp", "0"}, args...))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(io.Discard)
	cmd.SetErr(printed)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	for {
		select {
		case err := <-done:
			return printed.String(), err
		case <-time.After(time.Millisecond):
		}
		if strings.Contains(printed.String(), "recordings: ") {
			cancel()
		}
	}
}

// runReceive runs a camctl receive that is expected to fail at once.
func runReceive(t *testing.T, args ...string) error {
	t.Helper()
	cmd := newReceiveCommand()
	cmd.SetArgs(append([]string{"--listen", "127.0.0.1:0", "--rtp", "0", "--rtcp", "0"}, args...))
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return cmd.ExecuteContext(ctx)
}

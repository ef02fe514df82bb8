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

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/certificate"
)

// The program itself, from its start as root to SIGTERM.
func TestCamwebServesWithoutRootsRights(t *testing.T) {
	need.Root(t, "camweb gives up root")
	need.Tools(t, "openssl")
	program := filepath.Join(t.TempDir(), "camweb")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "CC=") // as in an image
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	root := t.TempDir()
	// Another user must get there, as on a board.
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "perm", "update"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--root", root, "--listen", "127.0.0.1:0")
	cmd.Dir = "/"
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	lines := bufio.NewScanner(stderr)
	var ready []string
	for ready == nil && lines.Scan() {
		t.Log(lines.Text())
		ready = regexp.MustCompile(`^camweb READY addr=(\S+) .* fingerprint=(\S+) password=none unsigned=refused$`).
			FindStringSubmatch(lines.Text())
	}
	if ready == nil {
		t.Fatal("no READY line")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("Uid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", board.WebUser), "CapEff:\t0000000000000000\n",
		"CapPrm:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n", "Groups:\t \n",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("its status lacks %q:\n%s", want, status)
		}
	}
	openssl := exec.Command("openssl", "s_client", "-connect", ready[1])
	openssl.Stdin = bytes.NewReader(nil)
	shown, err := openssl.Output()
	if err != nil {
		t.Fatal(err)
	}
	openssl = exec.Command("openssl", "x509", "-noout", "-fingerprint", "-sha256")
	openssl.Stdin = bytes.NewReader(shown)
	shown, err = openssl.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := certificate.ParseFingerprint(string(shown)); err != nil || got != ready[2] {
		t.Errorf("openssl sees fingerprint %s, %v, the console says %s", got, err, ready[2])
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		t.Log(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("camweb ended: %v", err)
	}
	info, err := os.Stat(filepath.Join(root, "perm", "camweb", pairFile))
	if err != nil || info.Mode().Perm() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != board.WebUser {
		t.Errorf("the board's own key: mode %v, %v, want 0600 and camweb's", info.Mode(), err)
	}
}

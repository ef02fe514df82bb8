// The image in a real podman: it is loaded, started, and grants a stream.

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/scripts/packaging/need"
)

// generous is the end of a wait for something that takes a second: this machine may be busy.
const generous = 90 * time.Second

// A podman has images and containers of its own, in a folder that goes with the test.
type podman struct {
	t     *testing.T
	dir   string
	flags []string
}

func newPodman(t *testing.T) podman {
	t.Helper()
	need.Tools(t, "podman")
	if os.Geteuid() != 0 {
		need.Missing(t, "root to start a container: run with sudo")
	}
	// Not t.TempDir: sockets lie in it, whose names have 107 bytes at most.
	dir, err := os.MkdirTemp("", "oci")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p := podman{t, dir, []string{
		"--root", dir + "/root", "--runroot", dir + "/run", "--tmpdir", dir + "/tmp", "--storage-driver", "vfs",
		"--cgroup-manager", "cgroupfs", "--events-backend", "none",
	}}
	if _, err := exec.LookPath("runc"); err == nil {
		p.flags = append(p.flags, "--runtime", "runc") // crun does not start where cgroups 1 and 2 are mixed
	}
	return p
}

func (p podman) command(args ...string) *exec.Cmd {
	return exec.Command("podman", append(append([]string{}, p.flags...), args...)...)
}

func (p podman) run(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("podman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// bounded runs podman for a limited time.
func (p podman) bounded(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), generous)
	defer cancel()
	cmd := exec.CommandContext(ctx, "podman", append(append([]string{}, p.flags...), args...)...)
	cmd.WaitDelay = time.Second // a child may have its output open
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("podman %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// endAll removes the containers, and waits for the processes that watch them or clean up after them. One that
// stays fails the test and is killed.
func (p podman) endAll() {
	if err := p.bounded("rm", "--all", "--force", "--time", "5"); err != nil {
		p.t.Error(err)
	}
	left := p.processes()
	for end := time.Now().Add(generous); len(left) > 0 && time.Now().Before(end); left = p.processes() {
		time.Sleep(50 * time.Millisecond)
	}
	for pid, line := range left {
		p.t.Errorf("process %d is left: %s", pid, line)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// processes lists those whose command lines name the folder: conmon, which watches a container, and podman itself.
func (p podman) processes() map[int]string {
	found := map[int]string{}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		words, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		line := strings.ReplaceAll(string(words), "\x00", " ")
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && strings.Contains(line, p.dir+"/") {
			found[pid] = line
		}
	}
	return found
}

// buildCamserver builds the program that the image is for.
func buildCamserver(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "camserver")
	cmd := exec.Command("go", "build", "-o", path, "./farend/cmd/camserver")
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build camserver: %v\n%s", err, out)
	}
	return path
}

func TestPodmanLoadsTheImageAndItGrantsAStream(t *testing.T) {
	p := newPodman(t)
	archive := writeArchive(t, testOptions(t, buildCamserver(t)))
	loaded := p.run("load", "-i", archive)
	name := repository + ":v0.2.0-dev-abc"
	if !strings.Contains(loaded, name) {
		t.Fatalf("podman load says %q, want the name %s", loaded, name)
	}
	flags := []string{"--listen", "127.0.0.1:0", "--ports", "0,0", "--tls=false", "--operator", ""}
	// Limits below those of this process: without CAP_SYS_RESOURCE podman's own cannot be set.
	run := []string{
		"run", "--rm", "--name", "server", "--network", "host",
		"--ulimit", "nofile=512:512", "--ulimit", "nproc=2048:2048", name,
	}
	// Before the folder goes, from which podman would clean up after the container.
	t.Cleanup(p.endAll)
	stop := func() { _ = p.bounded("kill", "--signal", "TERM", "server") }
	at, ok := started(t, p.command(append(run, flags...)...), stop)
	if !ok {
		t.Log("no container can run here: the image's files are started in a chroot, as its user")
		cmd := p.chroot(name, flags)
		if at, ok = started(t, cmd, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }); !ok {
			t.Fatal("camserver does not start in the image's files")
		}
	}
	ask := func(body string) map[string]any {
		t.Helper()
		return post(t, at.url, body)
	}
	id, _ := ask(`{"action": "new_utilization_id", "key": "` + at.key + `"}`)["utilization_id"].(string)
	if id == "" {
		t.Fatal("no utilization id")
	}
	grant := ask(`{"action": "start_stream", "key": "` + at.key + `", "utilization_id": "` + id +
		`", "width": 640, "height": 480}`)
	if port, _ := grant["rtp_port"].(float64); grant["url"] != "127.0.0.1" || port == 0 {
		t.Errorf("start_stream = %v, want 127.0.0.1 and its ports", grant)
	}
}

// chroot gives the image's program, with the image's files as root and as the image's user.
func (p podman) chroot(name string, flags []string) *exec.Cmd {
	p.t.Helper()
	need.Tools(p.t, "tar")
	dir := p.t.TempDir()
	id := p.run("create", name)
	files := filepath.Join(p.t.TempDir(), "files.tar")
	p.run("export", "-o", files, id)
	p.run("rm", id)
	if out, err := exec.Command("tar", "-xpf", files, "-C", dir, "--same-owner").CombinedOutput(); err != nil {
		p.t.Fatalf("tar: %v: %s", err, out)
	}
	cfg := options{}.config()
	cmd := exec.Command(cfg.Entrypoint[0], append(cfg.Entrypoint[1:], flags...)...)
	cmd.Dir, cmd.Env = cfg.WorkingDir, cfg.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: dir, Credential: &syscall.Credential{Uid: user, Gid: user},
	}
	// exec.Command looks the program up here, where it need not be.
	cmd.Err = nil
	return cmd
}

// said is what a first start prints.
type said struct{ url, key string }

var lines = regexp.MustCompile(`^(?:camserver READY gateway=(\S+)|first start: key of the customer \S+: (\S+)$)`)

// started starts camserver and gives what it says; not, if the program ends before it says all.
func started(t *testing.T, cmd *exec.Cmd, stop func()) (at said, ok bool) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var failed bytes.Buffer
	cmd.Stderr = &failed
	if err := cmd.Start(); err != nil {
		t.Logf("start %s: %v", cmd.Path, err)
		return said{}, false
	}
	all, ended := make(chan said, 1), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(all)
		var at said
		for s := bufio.NewScanner(out); s.Scan() && (at.url == "" || at.key == ""); {
			if m := lines.FindStringSubmatch(s.Text()); m != nil {
				at = said{cmp.Or(at.url, m[1]), cmp.Or(at.key, m[2])}
			}
			if at.url != "" && at.key != "" {
				all <- at
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	t.Cleanup(func() {
		stop()
		end := time.AfterFunc(generous, func() { _ = cmd.Process.Kill() })
		defer end.Stop()
		<-ended
		_ = cmd.Wait()
		if !ok {
			t.Log(failed.String())
		}
	})
	select {
	case at, ok = <-all:
	case <-time.After(generous):
	}
	return at, ok
}

func post(t *testing.T, url, body string) map[string]any {
	t.Helper()
	client := http.Client{Timeout: generous}
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", resp.Status, answer)
	}
	return answer
}

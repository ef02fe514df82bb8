// Boots a Debian kernel in QEMU with this package's tests as its process 1 (build tag
// vm, see guest_test.go). The kernel is Debian's own package, unpacked into the user's
// cache folder; nothing is installed and no root rights are needed.

package v4l2

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// run runs a command and fails the test with its output if it fails.
func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// A machine is an architecture as Go, Debian and QEMU know it.
type machine struct {
	goarch  string
	debian  string // architecture
	image   string // package that depends on the present kernel
	console string
	qemu    []string
}

var (
	amd64 = machine{"amd64", "amd64", "linux-image-amd64", "ttyS0",
		[]string{"qemu-system-x86_64", "-M", "pc", "-cpu", "max"}}
	arm64 = machine{"arm64", "arm64", "linux-image-arm64", "ttyAMA0",
		[]string{"qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53"}}
	// 32 bits, and a kernel that converts its 64-bit time for us.
	armv7 = machine{"arm", "armhf", "linux-image-armmp", "ttyAMA0",
		[]string{"qemu-system-arm", "-M", "virt,highmem=off", "-cpu", "cortex-a7"}}
)

// A guest is what runs in a machine.
type guest struct {
	machine
	tests    string   // which, as for go test -run
	modules  []string // of the kernel, those they depend on are found
	programs []string // files that go into its root folder
	qemu     []string // more arguments
	started  func()   // once QEMU runs; may be nil
	line     func(string)
}

// guestResult is a line such as "--- PASS: TestVividIsDiscovered (0.05s)".
var guestResult = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\w+) \(`)

// runGuest boots g and reports each test that ran inside as a test of its own.
func runGuest(t *testing.T, g guest) {
	if testing.Short() {
		t.Skip("boots a VM for half a minute: run without -short")
	}
	need.Tools(t, g.machine.qemu[0], "go")
	dir := t.TempDir()
	kernel, modules := debianKernel(t, g.machine, g.modules...)
	run(t, "", []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + g.goarch, "GOARM=7", "GOFLAGS="},
		"go", "test", "-c", "-tags", "vm", "-o", filepath.Join(dir, "init"), ".")
	initrd := filepath.Join(dir, "initrd")
	writeInitrd(t, initrd, filepath.Join(dir, "init"), modules, g.programs)
	args := slices.Concat(g.machine.qemu[1:], []string{"-accel", "tcg,thread=multi", "-smp", "1", "-m", "512",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", kernel, "-initrd", initrd,
		"-append", "console=" + g.console + " quiet panic=-1 KRAZYCAM_VM_TESTS=" + g.tests}, g.qemu)
	log := boot(t, g, args)
	results := guestResult.FindAllStringSubmatch(log, -1)
	for _, r := range results {
		t.Run(r[2], func(t *testing.T) {
			if r[1] != "PASS" {
				t.Error(r[1], "inside the VM: its log says why")
			}
		})
	}
	if len(results) == 0 || !strings.Contains(log, "guest: exit 0, <nil>") {
		t.Errorf("the VM did not end well: %d results", len(results))
	}
	t.Log(log)
}

// boot runs QEMU until it ends and returns what came over the serial console.
func boot(t *testing.T, g guest, args []string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // 40 s on two cores under load
	defer cancel()
	cmd := exec.CommandContext(ctx, g.machine.qemu[0], args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if g.started != nil {
		g.started()
	}
	var log strings.Builder
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		line := strings.TrimRight(scanner.Text(), "\r")
		log.WriteString(line + "\n")
		if g.line != nil {
			g.line(line)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("qemu: %v", err)
	}
	return log.String()
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/slot"
	"github.com/krazycam/krazycam/gokrazy/slot/slottest"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// maxMemory is for the whole program, in kB; the smallest board has 512 MB.
const maxMemory = 64 << 10

// A device is a card of real block devices, with nodes that are called as the kernel calls them.
type device struct {
	path string // of the card; 1, 2, 3 behind it give the partitions
	file string
}

// newDevice has the kernel make a block device of a file and of its partitions.
func newDevice(t *testing.T, file string, size int64) device {
	t.Helper()
	need.Root(t, "for a block device")
	need.Tools(t, "losetup")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := disk.ReadPrimaryTable(f, size)
	if err != nil {
		t.Fatal(err)
	}
	d := device{filepath.Join(t.TempDir(), "card"), file}
	attach := func(name string, args ...string) {
		out, err := exec.Command("losetup", append(args, "--find", "--show", file)...).Output()
		if err != nil {
			need.Missing(t, "loop devices: losetup: "+err.Error())
		}
		node := strings.TrimSpace(string(out))
		t.Cleanup(func() { exec.Command("losetup", "--detach", node).Run() })
		if err := os.Symlink(node, name); err != nil {
			t.Fatal(err)
		}
	}
	attach(d.path)
	for i, p := range table.Partitions[:3] {
		attach(fmt.Sprint(d.path, i+1), "--offset", fmt.Sprint(p.Start), "--sizelimit", fmt.Sprint(p.Size))
	}
	return d
}

// buildSlotwriter builds the program.
func buildSlotwriter(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "slotwriter")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// noise is n bytes that do not get shorter.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	if _, err := rand.NewChaCha8([32]byte{seed}).Read(b); err != nil {
		panic(err) // it has none
	}
	return b
}

// A version as large as a Pi's, written by the program itself to real block devices.
func TestTheProgramWritesAVersionAsLargeAsAPisToABlockDevice(t *testing.T) {
	const boot, root = 128 << 20, 64 << 20
	const size = boot + 2*root + 3<<20
	need.Root(t, "for a block device")
	large := func(number int) slottest.Slot {
		s := slottest.New(t, "rpi", number)
		s.Files["vmlinuz"] = append(noise(46<<20, byte(number)), s.Files["vmlinuz"]...)
		s.Root = append(s.Root, disk.Entry{Path: "user/large", Bytes: noise(12<<20, byte(number))})
		return s
	}
	b := newBench(t, "rpi")
	now, next := large(1), large(2)
	next.Files = maps.Clone(next.Files)
	next.Files["overlays/disable-bt.dtbo"] = now.Files["overlays/disable-bt.dtbo"]
	file := filepath.Join(t.TempDir(), "card.img")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	slottest.WriteCard(t, f, boot, root, now, now.Manifest(t, 1)) // without a key
	d := newDevice(t, file, size)
	m := next.Manifest(t, 2)
	raw, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	spool := spoolFolder(t, b, next, m, raw)
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(firstKey(t, b)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := buildSlotwriter(t)
	args := []string{"--spool", spool, "--disk", d.path, "--running", "a", "--board", "rpi", "--json"}

	// What it refuses: no key, a partition that is mounted.
	if out := fails(t, program, args...); !strings.Contains(out, update.ErrNoKey.Error()) {
		t.Errorf("without keys it says %q", out)
	}
	args = append(args, "--keys", keys)
	busy, err := os.OpenFile(d.path+"3", os.O_RDONLY|syscall.O_EXCL, 0) // as a mount does
	if err != nil {
		t.Fatal(err)
	}
	if out := fails(t, program, args...); !strings.Contains(out, "busy") {
		t.Errorf("with root b in use it says %q", out)
	}
	busy.Close()

	cmd := exec.Command(program, args...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var result bytes.Buffer
	cmd.Stdout = &result
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	var all []string
	memory := 0 // kB
	for lines.Scan() {
		if len(all) == 0 {
			checkRights(t, cmd.Process.Pid)
		}
		all = append(all, lines.Text())
		memory = max(memory, peakMemory(cmd.Process.Pid))
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, strings.Join(all, "\n"))
	}
	var done outcome
	if err := json.Unmarshal(result.Bytes(), &done); err != nil || done.Version != "v2" || done.Index != 2000 ||
		done.BytesWritten < 58<<20 {
		t.Errorf("it prints %q: %v", result.Bytes(), err)
	}
	for _, step := range []string{"check", "write-root", "write-boot", "read-back"} {
		if !strings.Contains(strings.Join(all, "\n"), "slotwriter PROGRESS step="+step+" done=") {
			t.Errorf("no progress of step %s: %q", step, all)
		}
	}
	t.Logf("FIGURE slotwriter, %d MB in %.1f s, %d kB of memory", done.BytesWritten>>20, done.Seconds, memory)
	if memory == 0 || memory > maxMemory {
		t.Errorf("%d kB of memory, want at most %d", memory, maxMemory)
	}
	for n, s := range map[slot.Name]slottest.Slot{slot.A: now, slot.B: next} {
		if err := slottest.Holds(t, f, size, n, s); err != nil {
			t.Errorf("slot %s: %v", n, err)
		}
	}
}

// checkRights sees what the program can do while it works.
func checkRights(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nUid:\t65534\t65534\t65534\t65534\n", "\nCapEff:\t0000000000000004\n",
		"\nCapPrm:\t0000000000000004\n", "\nNoNewPrivs:\t1\n"} {
		if !bytes.Contains(status, []byte(want)) {
			t.Errorf("it runs without %q: %s", want, status)
		}
	}
}

// peakMemory is the most that a process has had of memory, in kB; 0 once it is gone. What wait4 says
// of a child includes its parent, before the child's exec.
func peakMemory(pid int) (kb int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(after, &kb)
	return kb
}

// spoolFolder fills a spool and gives its folder, which nobody else may enter.
func spoolFolder(t *testing.T, b *bench, s slottest.Slot, m update.Manifest, raw []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spool")
	spool, err := update.MakeSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	have := map[string]bool{slottest.Part("x", s.Files["overlays/disable-bt.dtbo"]).SHA256: true}
	if err := spool.Begin(raw, sign(b.key, raw), m, have); err != nil {
		t.Fatal(err)
	}
	for _, p := range spool.Missing(m, have) {
		var in io.Reader = bytes.NewReader(s.Files[p.Path()])
		if p.Name == update.RootName {
			in = bytes.NewReader(s.RootImage(t))
		}
		if err := spool.Put(p, 0, in); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fails runs the program, which must end with 1 and one line of complaint.
func fails(t *testing.T, program string, args ...string) string {
	t.Helper()
	var complaint bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || len(out) > 0 {
		t.Errorf("%v prints %q and ends with %v, want 1", args, out, err)
	}
	text := strings.TrimSuffix(complaint.String(), "\n")
	last := text[strings.LastIndexByte(text, '\n')+1:]
	if !strings.HasPrefix(last, "slotwriter: ") {
		t.Errorf("the last line is %q", last)
	}
	return last
}

// The whole way from the kernel to the root's init, in QEMU: the kernel, the module
// lists and the /init of board bbb, the init of the image, a camera on USB.

package main

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// boot runs QEMU until stop says that it has seen enough or the guest resets itself, and
// gives the console's lines.
func boot(t *testing.T, stop func(line string) bool, args ...string) []string {
	t.Helper()
	kernel, initrd, arguments := bootFiles(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // 10 s where nothing else runs
	defer cancel()
	b := exec.CommandContext(ctx, "qemu-system-arm", slices.Concat([]string{
		"-M", "virt,highmem=off", "-cpu", "cortex-a7", "-smp", "1", "-m", "512", "-nodefaults", "-no-user-config",
		"-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
		"-append", "console=ttyAMA0 root=PARTUUID=" + exampleGUID.String() +
			"/PARTNROFF=1 init=/gokrazy/init panic=10 oops=panic " + arguments,
	}, args)...)
	b.WaitDelay = time.Second
	out, err := b.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint bytes.Buffer
	b.Stderr = &complaint
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	var lines []string
	for in := bufio.NewScanner(out); in.Scan(); {
		line := strings.TrimRight(in.Text(), "\r")
		lines = append(lines, line)
		if strings.Contains(line, "preinit") || strings.Contains(line, "init READY") {
			t.Logf("%.1fs: %s", time.Since(started).Seconds(), line)
		}
		if stop(line) {
			break
		}
	}
	cancel()
	if err := b.Wait(); err != nil && complaint.Len() > 0 {
		t.Logf("qemu: %v: %s", err, complaint.Bytes())
	}
	t.Logf("the VM ran for %v", time.Since(started).Round(time.Millisecond))
	return lines
}

// playCamera plugs a camera in as soon as QEMU listens on the socket.
func playCamera(t *testing.T, socket string) {
	played := make(chan struct{})
	t.Cleanup(func() { <-played })
	go func() {
		defer close(played)
		for t.Context().Err() == nil {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				time.Sleep(20 * time.Millisecond) // another process decides when it listens
				continue
			}
			if err := virtualcam.New(virtualcam.NewPattern()).ServeUSBRedir(conn); err != nil {
				return // QEMU ended
			}
		}
	}()
}

func TestBoardStartsItsRootWithModulesOfTheInitramfsInVM(t *testing.T) {
	command(t, nil, "qemu-system-arm", "--version")
	socket := filepath.Join(t.TempDir(), "camera.sock")
	// Of 6 MB: some folders and the node of the console are left.
	freed := regexp.MustCompile(`memory Unevictable: \d{1,2} kB`)
	want := []struct {
		what string
		line *regexp.Regexp
		seen bool
	}{
		{"the root is found", regexp.MustCompile(`^preinit READY modules=\d+ failed=0 .* root=/dev/vda2 `), false},
		{"all late modules load", regexp.MustCompile(`^preinit LOADED modules=\d+ failed=0 `), false},
		{"init waits for the modules and takes the seed",
			regexp.MustCompile(`^init READY .* modules=\d+ms seed=taken `), false}, // 0 where they were loaded first
		{"the camera is a video node", regexp.MustCompile(`Found UVC 1\.00 device Virtual UVC`), false},
		{"the kernel frees the packed archive", regexp.MustCompile(`Freeing initrd memory: `), false},
		{"preinit frees what was unpacked", freed, false},
	}
	playCamera(t, socket)
	lines := boot(t, func(line string) bool {
		all := true
		for i := range want {
			want[i].seen = want[i].seen || want[i].line.MatchString(line)
			all = all && want[i].seen
		}
		return all
	}, append(drive(card(t)), "-netdev", "user,id=n,restrict=on", "-device", "virtio-net-pci,netdev=n", "-device",
		"qemu-xhci",
		"-chardev", "socket,id=camera,server=on,wait=off,path="+socket, "-device", "usb-redir,chardev=camera")...)
	for _, w := range want {
		if !w.seen {
			t.Errorf("%s: no line %q", w.what, w.line)
		}
	}
	loaded := slices.IndexFunc(lines, want[1].line.MatchString)
	if ready := slices.IndexFunc(lines, want[2].line.MatchString); loaded < 0 || ready < loaded {
		t.Errorf("init is ready in line %d, all modules are loaded in line %d", ready, loaded)
	}
	for _, line := range lines {
		if strings.Contains(line, "READY") || strings.Contains(line, "LOADED") || freed.MatchString(line) {
			t.Logf("FIGURE bbb in QEMU: %s", line)
		}
		if strings.HasPrefix(line, "preinit: ") || strings.Contains(line, "level=ERROR") {
			t.Error("a complaint:", line) // such as of a module, or of memory that is not freed
		}
	}
	if t.Failed() {
		t.Log(strings.Join(lines, "\n"))
	}
}

func TestMissingRootIsToldAndBootedAgainInVM(t *testing.T) {
	command(t, nil, "qemu-system-arm", "--version")
	type fault struct {
		name       string
		args, want []string
	}
	cases := []fault{
		{"no card", nil, []string{"no such partition on any disk: PARTUUID=60c24cc1-", "disks: none"}},
	}
	if os.Getenv("KRAZYCAM_LONG") != "" { // 15 s each, most of it waiting
		stranger, empty := card(t), card(t)
		overwrite(t, stranger, disk.SectorSize, 16<<10) // the partition table
		overwrite(t, empty, 36*mib, 4096)               // where root A begins
		cases = append(cases,
			fault{"a card of somebody else", drive(stranger),
				[]string{"no such partition on any disk: PARTUUID=60c24cc1-", "disks: vda"}},
			fault{"a root that is empty", drive(empty), []string{"mount /dev/vda2 as squashfs: "}})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			lines := strings.Join(boot(t, func(string) bool { return false }, c.args...), "\n")
			for _, want := range append(c.want, "THIS BOARD DOES NOT START: "+c.want[0], "is the card in",
				"reboot: Restarting system") {
				if !strings.Contains(lines, want) {
					t.Errorf("the console does not say %q", want)
				}
			}
			if t.Failed() {
				t.Log(lines)
			}
		})
	}
}

// drive makes a file the card.
func drive(file string) []string {
	return []string{"-drive", "if=none,id=card,format=raw,file=" + file, "-device", "virtio-blk-pci,drive=card"}
}

// overwrite puts zeros into a file.
func overwrite(t *testing.T, file string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, n), at); err != nil {
		t.Fatal(err)
	}
}

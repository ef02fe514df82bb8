// The virtual camera and the VM against each other: the kernel of the image, a guest of
// ours as process 1, and every byte that the driver hands out compared.

package rig

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/pixfmt"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// uvcModules in the order in which the kernel of the image takes them.
var uvcModules = []string{"videobuf2-common", "videobuf2-v4l2", "uvc", "videobuf2-memops",
	"videobuf2-vmalloc", "uvcvideo"}

// guestRoot makes a root file system with the guest and its modules, and gives the kernel.
func guestRoot(t *testing.T) (packed, kernel []byte) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for _, d := range []string{"dev", "proc", "sys", "modules"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run(t, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}, "go", "build", "-o",
		filepath.Join(root, "guest"), "./testdata/guest")
	module := run(t, nil, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.rpi")
	for _, name := range uvcModules {
		found, _ := filepath.Glob(filepath.Join(module, "lib/modules/*/kernel/drivers/media/*/"+name+".ko"))
		deeper, _ := filepath.Glob(filepath.Join(module, "lib/modules/*/kernel/drivers/media/*/*/"+name+".ko"))
		found = append(found, deeper...)
		if len(found) != 1 {
			t.Fatalf("module %s: found %q, want one", name, found)
		}
		b, err := os.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "modules", name+".ko"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "root.img")
	run(t, nil, "mksquashfs", root, image, "-comp", "gzip", "-noappend", "-all-root", "-no-xattrs",
		"-quiet", "-no-progress",
		"-p", "dev/console c 600 0 0 5 1")
	packed, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if kernel, err = os.ReadFile(filepath.Join(module, "vmlinuz")); err != nil {
		t.Fatal(err)
	}
	return packed, kernel
}

// guestCard is a card with a boot partition and a root, as an image of ours has them, that
// starts the guest with its arguments.
func guestCard(t *testing.T, arguments string) string {
	t.Helper()
	root, kernel := guestRoot(t)
	const mib, start, size = 1 << 20, 1 << 20, 64 << 20
	id := disk.GUID{2}
	cmdline := "quiet root=PARTUUID=" + id.String() + "/PARTNROFF=1 rootwait rootfstype=squashfs ro " +
		"init=/guest panic=1 -- " + arguments
	rootSize := int64(len(root)+mib-1) / mib * mib
	table := disk.Table{Disk: disk.GUID{1}, Size: start + size + rootSize + mib, Partitions: []disk.Partition{
		{Type: disk.TypeEFI, ID: id, Start: start, Size: size},
		{Type: disk.TypeLinux, ID: disk.GUID{3}, Start: start + size, Size: rootSize},
	}}
	boot := []disk.Entry{
		{Path: card.CmdlineName, Bytes: []byte(cmdline)}, {Path: board.KernelName, Bytes: kernel},
		// What the boot firmware wants to see before it looks for a kernel.
		{Path: card.ConfigName, Bytes: []byte("kernel=" + board.KernelName + "\n")},
		{Path: "start4.elf", Bytes: []byte("not run here")},
		{Path: "bcm2711-rpi-4-b.dtb", Bytes: []byte("the guest gets QEMU's")},
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "guest.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, rootErr := f.WriteAt(root, start+size)
	err = errors.Join(rootErr, f.Truncate(table.Size), disk.WriteTable(f, table),
		disk.WriteFAT(io.NewOffsetWriter(f, start), disk.FATOptions{Size: size, Hidden: start}, boot))
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// A recorder is a source that remembers what it gave out.
type recorder struct {
	virtualcam.Source
	mu   sync.Mutex
	sent map[string]sentBuffer
}

type sentBuffer struct {
	number uint32
	format pixfmt.FourCC
	size   virtualcam.Size
}

func (r *recorder) FillBuffer(f pixfmt.FourCC, s virtualcam.Size, n uint32, due time.Time) ([]byte, error) {
	b, err := r.Source.FillBuffer(f, s, n, due)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent[fmt.Sprintf("%x", sha256.Sum256(b))] = sentBuffer{n, f, s}
	return b, err
}

// guestVM is a VM with the guest of testdata.
type guestVM struct {
	*vm.Machine
	t      *testing.T
	source *recorder
	ctx    context.Context
}

func (g *guestVM) wait(pattern string) vm.Line {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.ctx, 3*time.Minute)
	defer cancel()
	line, err := g.WaitLine(ctx, regexp.MustCompile(pattern))
	if err != nil {
		lines := g.Lines()
		for _, l := range lines[max(0, len(lines)-20):] {
			g.t.Log(l.Text)
		}
		g.t.Fatal(err)
	}
	return line
}

// buffers waits for n buffers of the guest and fails unless each is, byte for byte, one
// that the camera made, and the driver's sequence numbers order them as the camera did.
// The driver's own order is not asserted: uvcvideo copies on several CPUs and, when it is
// late, now and then hands the newer of two large pictures out first.
func (g *guestVM) buffers(n int) sentBuffer {
	g.t.Helper()
	var last sentBuffer
	lastSequence := -1
	for i := range n {
		var hash string
		var sequence int
		if _, err := fmt.Sscanf(g.wait(`^guest buffer `).Text, "guest buffer %s %d", &hash, &sequence); err != nil {
			g.t.Fatal(err)
		}
		g.source.mu.Lock()
		b, ok := g.source.sent[hash]
		g.source.mu.Unlock()
		if !ok {
			g.t.Fatalf("buffer %d of the guest is none that the camera made", i)
		}
		if i > 0 && (b.number > last.number) != (sequence > lastSequence) || b.number == last.number {
			g.t.Fatalf("buffer with sequence %d holds picture %d, that with %d held %d",
				sequence, b.number, lastSequence, last.number)
		}
		last, lastSequence = b, sequence
	}
	return last
}

func TestGuestSeesEveryByteOfTheVirtualCameraInVM(t *testing.T) {
	need.Tools(t, "qemu-system-aarch64", "mksquashfs")
	image := guestCard(t, strings.Join(uvcModules, ",")+" 320x240,640x480,1280x720,640x480")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	source := &recorder{Source: virtualcam.NewPattern(), sent: map[string]sentBuffer{}}
	camera := virtualcam.New(source)
	m, err := vm.Start(ctx, vm.Config{Image: image, Camera: camera})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	g := &guestVM{m, t, source, ctx}

	first := g.wait(`^guest camera .*320x240`)
	t.Logf("%s, %v after power on", first.Text, first.At.Sub(m.Started()).Round(time.Millisecond))
	g.checkBuffers(virtualcam.Size{Width: 320, Height: 240})

	pulled := time.Now()
	m.Unplug()
	g.since(pulled, "unplug by closed socket", `^guest ended:`)
	plugged := time.Now()
	if err := m.Plug(); err != nil {
		t.Fatal(err)
	}
	g.since(plugged, "replug", `^guest camera .*640x480`)
	g.checkBuffers(virtualcam.Size{Width: 640, Height: 480})

	pulled = time.Now()
	if err := camera.Detach(); err != nil {
		t.Fatal(err)
	}
	g.since(pulled, "unplug by message", `^guest ended:`)
	plugged = time.Now()
	if err := camera.Attach(); err != nil {
		t.Fatal(err)
	}
	g.since(plugged, "replug by message", `^guest camera .*MJPG 1280x720`)
	g.checkBuffers(virtualcam.Size{Width: 1280, Height: 720})

	camera.InjectFaults(virtualcam.Faults{Hang: true})
	g.wait(`^guest resets itself`)
	camera.InjectFaults(virtualcam.Faults{})
	g.wait(`^guest READY`)
	if n := m.Boots(); n != 2 {
		t.Errorf("Boots after the guest's reset = %d, want 2", n)
	}
	g.wait(`^guest camera `)
	g.buffers(5)
}

func (g *guestVM) checkBuffers(want virtualcam.Size) {
	g.t.Helper()
	if last := g.buffers(30); last.size != want {
		g.t.Fatalf("buffer of %+v, want %+v", last.size, want)
	} else {
		g.t.Logf("30 buffers of %v %dx%d", last.format, last.size.Width, last.size.Height)
	}
}

// since waits for a line and logs how long after t it came.
func (g *guestVM) since(t time.Time, what, pattern string) {
	g.t.Helper()
	line := g.wait(pattern)
	g.t.Logf("%s: %q after %v", what, line.Text, line.At.Sub(t).Round(time.Millisecond))
}

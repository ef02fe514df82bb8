// What the board's boot firmware does: reads kernel and command line from the boot
// partition. Which files those are is decided by package pifirmware.

package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/uboot"
	"github.com/krazycam/krazycam/gokrazy/vm/pifirmware"
)

// Limits for an image that may be a stranger's.
const (
	maxCmdline = 64 << 10
	maxKernel  = 64 << 20 // 46 MB on a Pi
	maxUBoot   = 16 << 20
)

// virtTarget is where U-Boot on QEMU's virt machine looks for boot.scr.
const virtTarget = "virtio0"

// errNoTree: with no device tree a kernel for ARM hangs before its first line.
var errNoTree = errors.New("the kernel would get no device tree, and hang")

// bootFiles are what QEMU starts: a kernel, or firmware that looks for one itself.
type bootFiles struct {
	kernel   string // file
	initrd   string // file; "" for none
	dtb      string // file of the device tree
	cmdline  string
	firmware string // file
	// watchdog is after how long the board is reset if the kernel starts no process 1; 0: never.
	watchdog time.Duration
}

// isStart: with nothing to start QEMU is only asked for its device tree.
func (b bootFiles) isStart() bool { return b.kernel != "" || b.firmware != "" }

// A bootReader plays the boot firmware at one start: afterReset says that the power stayed on.
type bootReader func(ctx context.Context, m *Machine, afterReset bool) (bootFiles, error)

// readUBoot starts the real U-Boot, which reads the image itself: without its countdown, as the
// board's own is changed. A build that is not known is started as it is.
func readUBoot(_ context.Context, m *Machine, _ bool) (bootFiles, error) {
	file, err := uBootPath(m.config.UBoot)
	if err != nil {
		return bootFiles{}, err
	}
	plain, err := openfile.Read(file, maxUBoot)
	if err != nil {
		return bootFiles{}, err
	}
	changed, err := uboot.Unattended(plain, virtTarget)
	if errors.Is(err, uboot.ErrUnknownBuild) {
		m.config.Log.Info("U-Boot keeps its countdown", "file", file, "error", err)
		return bootFiles{firmware: file}, nil
	}
	if err != nil {
		return bootFiles{}, fmt.Errorf("%s: %w", file, err)
	}
	own := filepath.Join(m.folder, "u-boot.bin")
	return bootFiles{firmware: own}, os.WriteFile(own, changed, 0o600)
}

// readPi plays the boot firmware of a Raspberry Pi up to the kernel's first instruction.
func readPi(ctx context.Context, m *Machine, afterReset bool) (bootFiles, error) {
	b, selected, err := m.loadPi(afterReset)
	if err != nil {
		return bootFiles{}, err
	}
	if m.hardware.boardTree {
		b.dtb, err = m.boardTree(b.dtb, selected)
	} else {
		b.dtb, err = m.virtTree(ctx, selected, afterReset)
	}
	return b, err
}

// loadPi copies what the boot firmware loads out of the image, into the machine's folder. Of the
// command line only console= is changed: QEMU's serial port is not the board's.
func (m *Machine) loadPi(afterReset bool) (b bootFiles, s pifirmware.Selection, err error) {
	f, size, err := openfile.Disk(m.image, os.O_RDWR)
	if err != nil {
		return b, s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	boot, err := pifirmware.OpenBoot(f, size)
	if err != nil {
		return b, s, fmt.Errorf("%s: %w", m.image, err)
	}
	tryboot := false
	if afterReset && m.hardware.pi.Tryboot { // else the note is U-Boot's, which runs in the guest
		if tryboot, err = takeTrialNote(recordedDisk{f, m.recorder}); err != nil {
			return b, s, fmt.Errorf("%s: %w", m.image, err)
		}
	}
	s, err = pifirmware.Select(boot, *m.hardware.pi, tryboot)
	for _, what := range s.Ignored {
		m.config.Log.Info("the boot firmware leaves out", "what", what)
	}
	if err == nil && s.DTB == "" {
		err = fmt.Errorf("%s: %w", s.Kernel, errNoTree)
	}
	if err == nil {
		m.config.Log.Debug("the boot firmware takes", "config", s.Config, "kernel", s.Kernel)
		b, err = m.copyBootFiles(boot, s)
	}
	if err != nil {
		return b, s, fmt.Errorf("%s: boot partition: %w", m.image, err)
	}
	b.watchdog = time.Duration(s.WatchdogTimeout) * time.Second
	return b, s, nil
}

// copyBootFiles gives QEMU the files that were selected.
func (m *Machine) copyBootFiles(boot fs.FS, s pifirmware.Selection) (b bootFiles, err error) {
	if b.kernel, err = m.copyBootFile(boot, s.Kernel, "kernel"); err != nil {
		return b, err
	}
	if s.Initramfs != "" {
		if b.initrd, err = m.copyBootFile(boot, s.Initramfs, "initrd"); err != nil {
			return b, err
		}
	}
	if b.dtb, err = m.copyBootFile(boot, s.DTB, "image.dtb"); err != nil {
		return b, err
	}
	var cmdline []byte
	if s.Cmdline != "" {
		if cmdline, err = card.ReadFile(boot, path.Clean(s.Cmdline), maxCmdline); err != nil {
			return b, err
		}
	}
	if s.Cmdline != "" || !m.hardware.boardTree { // U-Boot takes those of the device tree
		b.cmdline = withConsole(string(cmdline), m.serialPort(s))
	}
	return b, nil
}

// serialPort is the kernel's name for QEMU's first serial port. The boot firmware writes such a name in
// the place of serial0, which no kernel knows. A Pi 3's PL011 is its second port while Bluetooth has it.
func (m *Machine) serialPort(s pifirmware.Selection) string {
	if m.hardware.boardTree && !disablesBluetooth(s) {
		return "ttyAMA1"
	}
	return "ttyAMA0"
}

func (m *Machine) copyBootFile(boot fs.FS, name, as string) (file string, err error) {
	b, err := card.ReadFile(boot, path.Clean(name), maxKernel)
	if err != nil {
		return "", err
	}
	file = filepath.Join(m.folder, as)
	return file, os.WriteFile(file, b, 0o600)
}

// withConsole replaces all console= arguments. The padding behind the first line is white
// space and goes too.
func withConsole(cmdline, console string) string {
	out := []string{"console=" + console}
	for _, arg := range strings.Fields(cmdline) {
		if !strings.HasPrefix(arg, "console=") {
			out = append(out, arg)
		}
	}
	return strings.Join(out, " ")
}

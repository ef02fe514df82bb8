// What the board's boot firmware does: reads kernel and command line from the boot
// partition.

package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/card"
)

// Limits for an image that may be a stranger's.
const (
	maxCmdline = 64 << 10
	maxKernel  = 64 << 20 // 46 MB on a Pi
)

// bootFiles are what QEMU starts: a kernel, or firmware that looks for one itself.
type bootFiles struct {
	kernel   string // file
	cmdline  string
	firmware string // file
}

// readBootFiles copies the kernel out of the image into folder and reads the command
// line, of which only console= is changed: QEMU's serial port is not the board's.
func readBootFiles(image, folder string) (b bootFiles, err error) {
	f, size, err := openfile.Disk(image, os.O_RDONLY)
	if err != nil {
		return bootFiles{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	boot, _, err := card.OpenBoot(f, size)
	if err != nil {
		return bootFiles{}, fmt.Errorf("%s: %w", image, err)
	}
	cmdline, err := card.ReadFile(boot, card.CmdlineName, maxCmdline)
	if err != nil {
		return bootFiles{}, fmt.Errorf("%s: boot partition: %w", image, err)
	}
	kernel, err := card.ReadFile(boot, board.KernelName, maxKernel)
	if err != nil {
		return bootFiles{}, fmt.Errorf("%s: boot partition: %w", image, err)
	}
	b = bootFiles{kernel: filepath.Join(folder, board.KernelName), cmdline: withConsole(string(cmdline), serialPort)}
	if err := os.WriteFile(b.kernel, kernel, 0o600); err != nil {
		return bootFiles{}, err
	}
	return b, nil
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

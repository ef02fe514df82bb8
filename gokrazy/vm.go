// VM: an image booted in QEMU as a board's firmware would boot it. Owns QEMU, the working
// folder and the camera's connection; ends all of them. Needs QEMU 7.2 or newer.
package gokrazy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/krazycam/krazycam/gokrazy/card"
)

// ErrNoQEMU means that the emulator is not installed; the message says what to install.
var ErrNoQEMU = errors.New("QEMU is not installed")

// ErrVMEnded means that the VM ended while somebody waited for it.
var ErrVMEnded = errors.New("the VM ended")

// A USBCamera plays a USB device over usbredir on conn, closes it at the end and says why
// it ended: virtualcam.Camera is one.
type USBCamera interface {
	ServeUSBRedir(conn io.ReadWriteCloser) error
}

// VMConfig says what to boot. Only Image is needed.
type VMConfig struct {
	Image    string
	Snapshot bool      // works on a copy: the image's bytes stay as they are
	Seed     []byte    // krazycam.json for the boot partition; without Snapshot it stays in the image
	Camera   USBCamera // plugged in at the start; nil: no camera
	Forwards []Forward // TCP ports of the host that lead into the VM
	NoRTC    bool      // the clock says 2 January 1970, as on a board without a clock
	Watchdog bool      // adds an i6300esb that resets the VM
	Console  io.Writer // gets the serial console as it comes; may be nil
	QEMUArgs []string  // more arguments, such as those of a packet dump on netdev n
	UBoot    string    // U-Boot for QEMU's 32-bit virt machine; "": Debian's
	Log      *slog.Logger
}

// A VM is a running image. Its guest reaches the host as 10.0.2.2, which arrives on the
// host's loopback.
type VM struct {
	config  VMConfig
	machine machine
	image   string // the file that QEMU writes to
	folder  string // sockets, kernel, copy; removed at the end
	read    func(image, folder string) (bootFiles, error)
	console *console
	cancel  context.CancelFunc
	done    chan struct{} // closed after the last QEMU and everything around it ended
	err     error         // valid once done is closed

	mu      sync.Mutex
	started time.Time
	boots   int
	cable   *cable // nil: unplugged
	ended   bool   // no QEMU will be started again
}

// StartVM boots an image and returns as soon as QEMU runs. The VM ends with ctx, with
// Close, or when the guest powers off; after a guest's reset it boots again from what the
// boot partition then holds.
func StartVM(ctx context.Context, c VMConfig) (*VM, error) {
	if machineFor(c.Image).uBoot {
		uBoot, err := findUBoot(c.UBoot)
		if err != nil {
			return nil, err
		}
		return startVM(ctx, c, func(string, string) (bootFiles, error) { return bootFiles{firmware: uBoot}, nil })
	}
	return startVM(ctx, c, readBootFiles)
}

func startVM(ctx context.Context, c VMConfig, read func(image, folder string) (bootFiles, error)) (*VM, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	m := machineFor(c.Image)
	program, err := findQEMU(m.program)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "krazycam-vm-")
	if err != nil {
		return nil, fmt.Errorf("vm: %w", err)
	}
	vm := &VM{config: c, machine: m, image: c.Image, folder: folder, read: read, console: newConsole(c.Console), done: make(chan struct{})}
	if err := vm.prepareImage(); err != nil {
		os.RemoveAll(folder)
		return nil, err
	}
	ctx, vm.cancel = context.WithCancel(ctx)
	running := make(chan error, 1)
	go vm.run(ctx, program, running)
	if err := <-running; err != nil {
		<-vm.done
		return nil, err
	}
	if c.Camera != nil {
		if err := vm.Plug(); err != nil && !errors.Is(err, ErrVMEnded) {
			return nil, errors.Join(err, vm.Close())
		}
	}
	return vm, nil
}

// prepareImage copies and seeds.
func (vm *VM) prepareImage() error {
	if vm.config.Snapshot {
		vm.image = filepath.Join(vm.folder, "image")
		if err := copySparse(vm.image, vm.config.Image); err != nil {
			return fmt.Errorf("vm: snapshot of %s: %w", vm.config.Image, err)
		}
	}
	if vm.config.Seed != nil {
		if err := card.WriteSeed(vm.image, vm.config.Seed); err != nil {
			return fmt.Errorf("vm: %w", err)
		}
	}
	return nil
}

// run plays the firmware: reads the boot partition, starts QEMU, and does so again after
// each reset. It tells running once whether the first start worked.
func (vm *VM) run(ctx context.Context, program string, running chan<- error) {
	defer close(vm.done)
	defer vm.cancel()
	defer os.RemoveAll(vm.folder)
	defer vm.console.close()
	first := func(err error) {
		if running != nil {
			running <- err
			running = nil
		}
	}
	for ctx.Err() == nil {
		boot, err := vm.read(vm.image, vm.folder)
		if err != nil {
			vm.err = fmt.Errorf("vm: %w", err)
			break
		}
		reset, err := vm.runQEMU(ctx, program, boot, func() { first(nil) })
		if err != nil && ctx.Err() == nil {
			vm.err = err
			break
		}
		if !reset {
			break
		}
		vm.config.Log.Info("the guest reset itself, booting again", "boots", vm.Boots())
	}
	vm.end()
	first(vm.err)
}

// Wait returns when the VM has ended: nil if it was told to or the guest powered off.
func (vm *VM) Wait() error {
	<-vm.done
	return vm.err
}

// Close ends the VM at once, as pulling the power would, and waits until all of it is
// gone.
func (vm *VM) Close() error {
	vm.cancel()
	return vm.Wait()
}

// Started is when QEMU was started last: the moment of power on.
func (vm *VM) Started() time.Time {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.started
}

// Boots counts the starts, 1 before any reset.
func (vm *VM) Boots() int {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	return vm.boots
}

// Image is the file that the VM runs on: the copy if it is a snapshot.
func (vm *VM) Image() string { return vm.image }

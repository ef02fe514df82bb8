// Package vm boots an image in QEMU as a board's firmware would boot it, with a USB
// camera that can be plugged in and pulled.
//
// It runs on the owner's machine and needs QEMU 7.2 or newer. A Machine owns QEMU, a
// working folder and the camera's connection, and ends all of them. The clock that it
// reports is this machine's.
package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/krazycam/krazycam/gokrazy/card"
)

// ErrNoQEMU means that the emulator is not installed; the message says what to install.
var ErrNoQEMU = errors.New("QEMU is not installed")

// ErrEnded means that the machine ended while a caller waited for it.
var ErrEnded = errors.New("the VM ended")

// A Camera plays a USB device over usbredir on conn, closes conn at the end and returns
// why it ended: virtualcam.Camera is one.
type Camera interface {
	ServeUSBRedir(conn io.ReadWriteCloser) error
}

// Config says what to boot. Only Image is needed.
type Config struct {
	Image    string
	Machine  string    // one of Machines; "": MachineVirt
	Snapshot bool      // work on a copy: the image's bytes stay as they are; else MachinePi3 makes it longer
	Seed     []byte    // krazycam.json for the boot partition; without Snapshot it stays in the image
	Camera   Camera    // plugged in at the start, of full speed for MachinePi3; nil: no camera
	Forwards []Forward // TCP ports of the host that lead to the guest
	NoRTC    bool      // the clock says 2 January 1970, as on a board without a clock
	Watchdog bool      // adds an i6300esb that resets the guest
	Console  io.Writer // takes the serial console as it comes; may be nil
	WriteLog string    // file to make, for package writelog: all writes to the card; not with MachinePi3
	QEMUArgs []string  // more arguments, such as those of a packet dump on netdev n
	Serial   string    // of a Pi, 16 hexadecimal digits; "": always the same
	UBoot    string    // U-Boot for QEMU's 32-bit virt machine; "": UBootFile
	Log      *slog.Logger
}

// A Machine is a running image. Its guest reaches the host as 10.0.2.2, which arrives on
// the host's loopback.
type Machine struct {
	config   Config
	hardware hardware
	program  string // QEMU
	image    string // the file that QEMU writes to
	folder   string // sockets, kernel, copy; removed at the end
	read     bootReader
	console  *console
	recorder *recorder // nil: nothing is recorded
	cancel   context.CancelFunc
	done     chan struct{} // closed after the last QEMU and everything around it ended
	err      error         // valid once done is closed

	mu      sync.Mutex
	started time.Time
	boots   int
	cable   *cable   // nil: unplugged
	control net.Conn // QEMU's control socket; nil: none runs
	noLink  bool     // the network's cable is pulled
	ended   bool     // no QEMU will be started again
}

// Start boots an image and returns as soon as QEMU runs. The machine ends with ctx, with
// Close, or when the guest powers off; after a guest's reset it boots again from what the
// boot partition then holds. Without an emulator it is an ErrNoQEMU, without a boot loader
// that the image needs an ErrNoUBoot.
func Start(ctx context.Context, c Config) (*Machine, error) {
	h, err := hardwareFor(c.Image, c.Machine)
	if err != nil {
		return nil, err
	}
	if h.pi == nil {
		if _, err := uBootPath(c.UBoot); err != nil {
			return nil, err
		}
		return start(ctx, c, h, readUBoot)
	}
	return start(ctx, c, h, readPi)
}

func start(ctx context.Context, c Config, h hardware, read bootReader) (*Machine, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	program, err := qemuPath(h.program)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "krazycam-vm-")
	if err != nil {
		return nil, err
	}
	m := &Machine{
		config: c, hardware: h, program: program, image: c.Image, folder: folder, read: read,
		console: newConsole(c.Console), done: make(chan struct{}),
	}
	if err := m.prepareImage(); err != nil {
		os.RemoveAll(folder)
		return nil, err
	}
	ctx, m.cancel = context.WithCancel(ctx)
	running := make(chan error, 1)
	go m.runBoots(ctx, running)
	if err := <-running; err != nil {
		<-m.done
		return nil, err
	}
	if c.Camera != nil {
		if err := m.Plug(); err != nil && !errors.Is(err, ErrEnded) {
			return nil, errors.Join(err, m.Close())
		}
	}
	return m, nil
}

// prepareImage copies and seeds, and opens the log of writes.
func (m *Machine) prepareImage() (err error) {
	if m.config.WriteLog != "" && m.hardware.powerOfTwo {
		return fmt.Errorf("%w: writes are not recorded with %s", ErrMachine, m.config.Machine)
	}
	if m.config.Snapshot {
		m.image = filepath.Join(m.folder, "image")
		if err := copySparse(m.image, m.config.Image); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	if m.hardware.powerOfTwo {
		if err := padToPowerOfTwo(m.image); err != nil {
			return err
		}
	}
	if m.config.Seed != nil {
		if err := card.WriteSeed(m.image, m.config.Seed); err != nil {
			return err
		}
	}
	if m.config.WriteLog != "" {
		m.recorder, err = newRecorder(m.config.WriteLog, m.folder)
	}
	return err
}

// runBoots plays the boot firmware: it reads the boot partition, starts QEMU, and does so
// again after each reset. It sends to running once: how the first start went.
func (m *Machine) runBoots(ctx context.Context, running chan<- error) {
	defer close(m.done)
	defer m.cancel()
	defer os.RemoveAll(m.folder)
	defer m.console.endLines()
	first := func(err error) {
		if running != nil {
			running <- err
			running = nil
		}
	}
	for afterReset := false; ctx.Err() == nil; afterReset = true {
		boot, err := m.read(ctx, m, afterReset)
		if err != nil {
			m.err = err
			break
		}
		reset, err := m.runRecorded(ctx, boot, func() { first(nil) })
		if err != nil {
			m.err = err
			break
		}
		if !reset {
			break
		}
		m.config.Log.Info("the guest reset itself, booting again", "boots", m.Boots())
	}
	m.retireCamera()
	if m.recorder != nil {
		m.err = errors.Join(m.err, m.recorder.close())
	}
	first(m.err)
}

// runRecorded is runQEMU, and keeps what was written if that is asked for, also if QEMU was killed.
func (m *Machine) runRecorded(ctx context.Context, b bootFiles, begun func()) (reset bool, err error) {
	if m.recorder != nil {
		if err := m.recorder.begin(); err != nil {
			return false, err
		}
	}
	reset, err = m.runQEMU(ctx, b, begun)
	if ctx.Err() != nil {
		err = nil // it was ended from here
	}
	if m.recorder != nil {
		err = errors.Join(err, m.recorder.add())
	}
	return reset, err
}

// Wait returns when the machine has ended: nil after Close, the end of the context, or a power-off of
// the guest.
func (m *Machine) Wait() error {
	<-m.done
	return m.err
}

// Close ends the machine at once, as pulling the power would, and waits until all of it
// is gone.
func (m *Machine) Close() error {
	m.cancel()
	return m.Wait()
}

// Started is when QEMU was started last: the moment of power on.
func (m *Machine) Started() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.started
}

// Boots counts the starts, 1 before any reset.
func (m *Machine) Boots() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boots
}

// Image is the file that the machine runs on: the copy if it is a snapshot.
func (m *Machine) Image() string { return m.image }

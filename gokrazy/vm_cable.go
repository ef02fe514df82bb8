// VM: the camera's USB cable, which a caller plugs and pulls. Owns the goroutine that
// plays the camera on QEMU's socket.
package gokrazy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

var (
	errNoCamera = errors.New("vm: it was started without a camera")
	errPlugged  = errors.New("vm: the camera is plugged in already")
)

// A cable is one plug of the camera.
type cable struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Plug plugs the camera in, and again after each reset until Unplug. It does not wait for
// QEMU to take the connection; what the guest makes of it shows on the console.
func (vm *VM) Plug() error {
	if vm.config.Camera == nil {
		return errNoCamera
	}
	vm.mu.Lock()
	defer vm.mu.Unlock()
	switch {
	case vm.ended:
		return fmt.Errorf("plug the camera in: %w", ErrVMEnded)
	case vm.cable != nil:
		return errPlugged
	}
	vm.cable = vm.newCable()
	return nil
}

// Unplug pulls the camera by closing its connection and waits until the camera noticed.
// Pulling what is not plugged in does nothing.
func (vm *VM) Unplug() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.pull()
}

// end pulls the camera for good.
func (vm *VM) end() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	vm.ended = true
	vm.pull()
}

// pull is called with vm.mu held.
func (vm *VM) pull() {
	if vm.cable != nil {
		vm.cable.end()
		vm.cable = nil
	}
}

func (vm *VM) newCable() *cable {
	ctx, cancel := context.WithCancel(context.Background())
	c := &cable{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if err := vm.play(ctx); ctx.Err() == nil {
			// QEMU closes the connection when it ends, also for a reset.
			vm.config.Log.Debug("the camera's connection ended", "cause", err)
		}
	}()
	return c
}

// end pulls the plug and waits.
func (c *cable) end() {
	c.cancel()
	<-c.done
}

// play runs the camera on QEMU's socket until ctx ends or QEMU hangs up.
func (vm *VM) play(ctx context.Context) error {
	conn, err := dialQEMU(ctx, vm.socket("camera"))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := vm.config.Camera.ServeUSBRedir(conn); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("vm: camera: %w", err)
	}
	return nil
}

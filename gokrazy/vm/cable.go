// The camera's USB cable, which a caller plugs and pulls. Owns the goroutine that
// plays the camera on QEMU's socket.

package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

var (
	errNoCamera = errors.New("it was started without a camera")
	errPlugged  = errors.New("the camera is plugged in already")
)

// A cable is one plug of the camera.
type cable struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// Plug plugs the camera in, and again after each reset until Unplug. It does not wait for
// QEMU to take the connection; what the guest makes of it shows on the console.
func (m *Machine) Plug() error {
	if m.config.Camera == nil {
		return errNoCamera
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended:
		return fmt.Errorf("plug the camera in: %w", ErrEnded)
	case m.cable != nil:
		return errPlugged
	}
	m.cable = m.newCable()
	return nil
}

// Unplug pulls the camera by closing its connection and waits until the camera noticed.
// Pulling what is not plugged in does nothing.
func (m *Machine) Unplug() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pullCable()
}

// retireCamera pulls the camera for good.
func (m *Machine) retireCamera() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	m.pullCable()
}

// pullCable is called with m.mu held.
func (m *Machine) pullCable() {
	if m.cable != nil {
		m.cable.disconnect()
		m.cable = nil
	}
}

func (m *Machine) newCable() *cable {
	ctx, cancel := context.WithCancel(context.Background())
	c := &cable{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if err := m.serveCamera(ctx); ctx.Err() == nil {
			// QEMU closes the connection when it ends, also for a reset.
			m.config.Log.Debug("the camera's connection ended", "cause", err)
		}
	}()
	return c
}

// disconnect pulls the plug and waits.
func (c *cable) disconnect() {
	c.cancel()
	<-c.done
}

// serveCamera runs the camera on QEMU's socket until ctx ends or QEMU hangs up.
func (m *Machine) serveCamera(ctx context.Context) error {
	conn, err := dialQEMU(ctx, m.socketPath("camera"))
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := m.config.Camera.ServeUSBRedir(conn); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("camera: %w", err)
	}
	return nil
}

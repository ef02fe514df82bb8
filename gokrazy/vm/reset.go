// Resets: QEMU ends at each, and says over its control socket that it was one. Two kinds are played
// here, because QEMU's machines lack the watchdog that would do it.
// Spec: QMP events and commands, qapi/run-state.json and qapi/machine.json.

package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"regexp"
	"sync"
	"time"
)

var (
	// processOne is the kernel's line about it: from then on a board's own watchdog is looked after.
	processOne = regexp.MustCompile(`^\[ *[0-9.]+\] Run \S+ as init process`)
	// rebootFailed is the kernel's last line if nothing answered to its reset.
	rebootFailed = regexp.MustCompile(`^(\[ *[0-9.]+\] )?Reboot failed -- System halted`)
)

// watchReset reads QEMU's events until QEMU ends: true if that was for a reset.
func (m *Machine) watchReset(exited context.Context, b bootFiles, firstLine int) bool {
	conn, err := dialQEMU(exited, m.socketPath("qmp"))
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(`{"execute":"qmp_capabilities"}` + "\n")); err != nil {
		return false
	}
	m.setControl(conn)
	defer m.setControl(nil)
	var players sync.WaitGroup
	defer players.Wait()
	watching, end := context.WithCancel(exited)
	defer end()
	if b.watchdog > 0 {
		players.Go(func() { m.playKernelWatchdog(watching, conn, firstLine, b.watchdog) })
	}
	if m.hardware.haltIsReset {
		players.Go(func() { m.resetWhenHalted(watching, conn, firstLine) })
	}
	reset := false
	for in := json.NewDecoder(conn); ; {
		var message struct {
			Event string
			Data  struct{ Reason string }
		}
		if err := in.Decode(&message); err != nil {
			return reset // QEMU is gone
		}
		if message.Event == "SHUTDOWN" {
			reset = message.Data.Reason == "guest-reset" || message.Data.Reason == "host-qmp-system-reset"
		}
	}
}

// setControl keeps the control socket of the QEMU that runs, nil for none, and pulls the network's cable
// of a new one if it was pulled.
func (m *Machine) setControl(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.control = conn
	if conn != nil && m.noLink {
		_ = setLink(conn, false) // a QEMU that ends again takes no command
	}
}

// SetLink plugs the cable of the guest's network in or pulls it; it stays so over resets.
func (m *Machine) SetLink(up bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noLink = !up
	if m.control == nil {
		return nil // the next start looks at it
	}
	return setLink(m.control, up)
}

func setLink(conn net.Conn, up bool) error {
	_, err := fmt.Fprintf(conn, `{"execute":"set_link","arguments":{"name":"n","up":%t}}`+"\n", up)
	return err
}

// playKernelWatchdog plays kernel_watchdog_timeout of a Pi's config.txt: the boot firmware starts the
// watchdog, and a kernel that hangs before its driver takes that over is reset. An emulated kernel on a
// busy machine takes long to come so far, so the time counts from its latest line.
func (m *Machine) playKernelWatchdog(ctx context.Context, qmp net.Conn, firstLine int, after time.Duration) {
	for said := -1; said != m.console.count(); {
		said = m.console.count()
		waiting, cancel := context.WithTimeout(ctx, after)
		alive := m.console.waitFrom(waiting, firstLine, processOne)
		cancel()
		if alive || ctx.Err() != nil {
			return
		}
	}
	m.reset(qmp, "played: no process 1, and no line for "+after.String()+
		" (kernel_watchdog_timeout): the watchdog resets the board")
}

// resetWhenHalted plays the watchdog by which a Pi resets itself.
func (m *Machine) resetWhenHalted(ctx context.Context, qmp net.Conn, firstLine int) {
	if m.console.waitFrom(ctx, firstLine, rebootFailed) {
		m.reset(qmp, "played: the kernel wants a reset")
	}
}

// reset is what the reset line of a board would do; because of -no-reboot QEMU ends.
func (m *Machine) reset(qmp net.Conn, why string) {
	m.console.cutLine("vm: " + why)
	if _, err := qmp.Write([]byte(`{"execute":"system_reset"}` + "\n")); err != nil {
		m.config.Log.Debug("reset of the VM", "error", err)
	}
}

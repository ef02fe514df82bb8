// One run of QEMU, from its command line to its exit.
// Spec: qemu-system-aarch64(1).

package vm

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	qemuProgram   = "qemu-system-aarch64"
	qemuProgram32 = "qemu-system-arm"
	// dialRetryInterval is the time between two attempts to reach QEMU's sockets.
	dialRetryInterval = 20 * time.Millisecond
	// dialTimeout is how long QEMU may take to make them.
	dialTimeout = 10 * time.Second
)

// A Forward leads a TCP port of the host's loopback to a port of the guest.
type Forward struct{ Host, Guest int }

// ParseForward reads HOST:GUEST, such as 8443:443.
func ParseForward(s string) (Forward, error) {
	host, guest, ok := strings.Cut(s, ":")
	h, hostErr := strconv.ParseUint(host, 10, 16)
	g, guestErr := strconv.ParseUint(guest, 10, 16)
	if !ok || hostErr != nil || guestErr != nil || h == 0 || g == 0 {
		return Forward{}, fmt.Errorf("forward %q: want two ports such as 8443:443", s)
	}
	return Forward{int(h), int(g)}, nil
}

func qemuPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("%w: no %s in PATH; on Debian: apt install qemu-system-arm; on macOS: brew install qemu",
			ErrNoQEMU, program)
	}
	return path, nil
}

// qemuArgs is the command line of a boot.
func (m *Machine) qemuArgs(b bootFiles) []string {
	netdev := "user,id=n"
	for _, f := range m.config.Forwards {
		netdev += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", f.Host, f.Guest)
	}
	var start []string
	if b.kernel != "" {
		start = []string{"-kernel", b.kernel, "-append", b.cmdline}
	}
	for _, o := range []struct{ option, file string }{
		{"-dtb", b.dtb}, {"-initrd", b.initrd}, {"-bios", b.firmware},
	} {
		if o.file != "" {
			start = append(start, o.option, o.file)
		}
	}
	args := slices.Concat(m.hardware.args, start, m.hardware.devices, []string{
		"-display", "none", "-monitor", "none", "-serial", "stdio",
		// A reset ends QEMU: it would start the same kernel again, while a board's
		// firmware reads the boot partition anew.
		"-no-reboot", "-qmp", "unix:" + m.socketPath("qmp") + ",server=on,wait=off",
		"-netdev", netdev,
		// QEMU listens and we dial: so we decide when the camera is plugged in.
		"-chardev", "socket,id=camera,server=on,wait=off,path=" + m.socketPath("camera"),
		"-device", "usb-redir,chardev=camera,id=camera0",
	})
	if m.recorder != nil && b.isStart() {
		args = append(args, m.recorder.blockdevs(m.image)...)
	} else {
		args = append(args, "-drive", m.hardware.drive+",file="+strings.ReplaceAll(m.image, ",", ",,"))
	}
	if m.config.NoRTC {
		args = append(args, "-rtc", "base=1970-01-02")
	}
	if m.config.Watchdog {
		args = append(args, "-device", "i6300esb", "-action", "watchdog=reset")
	}
	return append(args, m.config.QEMUArgs...)
}

func (m *Machine) socketPath(name string) string { return filepath.Join(m.folder, name+".sock") }

// runQEMU runs one boot to its end and says whether the guest asked for another, or was reset.
// begun is called once QEMU runs.
func (m *Machine) runQEMU(ctx context.Context, b bootFiles, begun func()) (reset bool, err error) {
	// On Linux QEMU dies with the thread that started it, so keep that thread until it
	// has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	complaint := &lastLine{}
	cmd := exec.CommandContext(ctx, m.program, m.qemuArgs(b)...)
	cmd.SysProcAttr = killWithParent()
	cmd.Stdout, cmd.Stderr = m.console, complaint
	cmd.WaitDelay = time.Second
	m.powerOn()
	firstLine := m.console.count()
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("start %s: %w", m.program, err)
	}
	exited, end := context.WithCancel(ctx)
	resets := make(chan bool, 1)
	go func() { resets <- m.watchReset(exited, b, firstLine) }()
	begun()
	err = cmd.Wait()
	end()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", m.hardware.program, err, complaint)
	}
	return <-resets, err
}

// powerOn notes the start; after a reset the cable is still in, so the camera of the new
// QEMU is plugged in too.
func (m *Machine) powerOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.started = time.Now()
	m.boots++
	m.console.cutLine("")
	if m.cable != nil {
		m.cable.disconnect()
		m.cable = m.newCable()
	}
}

// dialQEMU waits for QEMU to listen on a socket.
func dialQEMU(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("QEMU's socket %s: %w", filepath.Base(socket), err)
		case <-time.After(dialRetryInterval):
		}
	}
}

package vm

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// qemuSocket plays QEMU's control socket: it reports a SHUTDOWN for what it is asked.
func qemuSocket(t *testing.T, m *Machine) (asked chan string) {
	t.Helper()
	l, err := net.Listen("unix", m.socketPath("qmp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	asked = make(chan string, 8)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for in := bufio.NewScanner(conn); in.Scan(); {
			asked <- in.Text()
			if strings.Contains(in.Text(), "system_reset") {
				const event = `{"event":"SHUTDOWN","data":{"guest":false,"reason":"host-qmp-system-reset"}}`
				_, _ = conn.Write([]byte(event + "\n"))
				return
			}
		}
	}()
	return asked
}

func newQuietMachine(t *testing.T) *Machine {
	return &Machine{config: Config{Log: quietLog()}, console: newConsole(nil), folder: t.TempDir()}
}

func TestAKernelThatHangsIsResetByThePlayedWatchdog(t *testing.T) {
	m := newQuietMachine(t)
	// A line of an earlier boot is not this kernel's.
	_, _ = m.console.Write([]byte("[    1.7] Run /gokrazy/init as init process\n"))
	qemuSocket(t, m)
	if !m.watchReset(context.Background(), bootFiles{watchdog: time.Millisecond}, m.console.count()) {
		t.Error("no reset")
	}
	lines := m.Lines()
	if last := lines[len(lines)-1].Text; !strings.HasPrefix(last, "vm: played: no process 1, and no line for 1ms") {
		t.Errorf("the console ends with %q", last)
	}
}

func TestAKernelThatIsSlowIsNotReset(t *testing.T) {
	m := newQuietMachine(t)
	asked := qemuSocket(t, m)
	conn, err := dialQEMU(context.Background(), m.socketPath("qmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ended := make(chan bool, 1)
	const timeout = time.Second
	go func() { m.playKernelWatchdog(context.Background(), conn, 0, timeout); ended <- true }()
	for i, tick := 0, time.NewTicker(timeout/20); i < 25; i++ { // longer than that, and lines all along
		<-tick.C
		fmt.Fprintf(m.console, "[    %d.0] still starting\n", i)
	}
	fmt.Fprint(m.console, "[   50.0] Run /gokrazy/init as init process\n")
	<-ended
	select {
	case line := <-asked:
		t.Errorf("QEMU was asked %q", line)
	default:
	}
}

func TestAKernelWithProcessOneIsNotReset(t *testing.T) {
	m := newQuietMachine(t)
	asked := qemuSocket(t, m)
	_, _ = m.console.Write([]byte("[    1.7] Run /gokrazy/init as init process\n"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool, 1)
	conn, err := dialQEMU(ctx, filepath.Join(m.folder, "qmp.sock"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { m.playKernelWatchdog(ctx, conn, 0, time.Hour); ended <- true }()
	<-ended // though the hour is not over
	conn.Close()
	cancel()
	select {
	case line := <-asked:
		t.Errorf("QEMU was asked %q", line)
	default:
	}
}

func TestAHaltedKernelIsResetWhereNothingAnswersToItsReset(t *testing.T) {
	m := newQuietMachine(t)
	m.hardware.haltIsReset = true
	qemuSocket(t, m)
	_, _ = m.console.Write([]byte("[   19.0] reboot: Restarting system\n[   20.1] Reboot failed -- System halted\n"))
	if !m.watchReset(context.Background(), bootFiles{}, 0) {
		t.Error("no reset")
	}
}

func TestTheNetworksCableIsPulledAndStaysSoOverAReset(t *testing.T) {
	m := newQuietMachine(t)
	if err := m.SetLink(false); err != nil { // before QEMU runs
		t.Fatal(err)
	}
	asked := qemuSocket(t, m)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool, 1)
	go func() { ended <- m.watchReset(ctx, bootFiles{}, 0) }()
	for _, want := range []string{"qmp_capabilities", `"up":false`} {
		if line := <-asked; !strings.Contains(line, want) {
			t.Errorf("QEMU was asked %s, want %s", line, want)
		}
	}
	if err := m.SetLink(true); err != nil {
		t.Fatal(err)
	}
	if line := <-asked; !strings.Contains(line, `"up":true`) {
		t.Errorf("QEMU was asked %s, want the link up", line)
	}
	m.reset(m.control, "the test is over") // the played QEMU hangs up
	<-ended
	cancel()
	if err := m.SetLink(true); err != nil {
		t.Errorf("SetLink without QEMU = %v", err)
	}
}

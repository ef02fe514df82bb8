//go:build linux

// A program in one of the namespaces, which ends with the run.

package losslab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A process is a program that was started. It has a process group of its own, so that Ctrl-C
// reaches only the lab, which then ends all in order.
type process struct {
	*exec.Cmd
	done   chan struct{} // closed when it has ended
	err    error         // how, once done
	output bytes.Buffer  // both outputs, complete once done
}

// startProcess starts a program in a namespace. extra becomes its descriptor 3.
func startProcess(space string, args []string, extra *os.File) (*process, error) {
	p := &process{Cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	p.Stdout, p.Stderr = &p.output, &p.output
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if extra != nil {
		p.ExtraFiles = []*os.File{extra}
	}
	if err := inNamespace(space, p.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", args[0], err)
	}
	go func() {
		p.err = p.Wait()
		close(p.done)
	}()
	return p, nil
}

// endProcess ends the program if it still runs: with SIGINT, and after 3 s with SIGKILL.
func (p *process) endProcess() {
	_ = p.Process.Signal(syscall.SIGINT)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

// earlyExitError is for a program that should still run.
func (p *process) earlyExitError() error {
	lines := strings.Split(strings.TrimSpace(p.output.String()), "\n")
	return fmt.Errorf("%s ended early (%v): %s", filepath.Base(p.Path), p.err,
		strings.Join(lines[max(0, len(lines)-5):], "\n"))
}

// awaitPorts waits until the program's namespace has a UDP socket on each port.
func (p *process) awaitPorts(ports ...uint16) error {
	for range 200 {
		select {
		case <-p.done:
			return p.earlyExitError()
		case <-time.After(50 * time.Millisecond):
		}
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", p.Process.Pid))
		if err != nil {
			continue
		}
		found := 0
		for _, port := range ports {
			if strings.Contains(string(table), fmt.Sprintf(":%04X ", port)) {
				found++
			}
		}
		if found == len(ports) {
			return nil
		}
	}
	return fmt.Errorf("%s: nobody listens on %v after 10 s", filepath.Base(p.Path), ports)
}

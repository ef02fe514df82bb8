// Questions on a terminal: a real one, with a process of its own on it.

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
)

// A session is camctl on a terminal of its own.
type session struct {
	t      *testing.T
	screen *os.File
	shown  string
	cmd    *exec.Cmd
	until  time.Time // if there is no process that ends
}

func onTerminal(t *testing.T, args ...string) *session {
	t.Helper()
	screen, program := need.Terminal(t)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute) // for what hangs, on any machine
	t.Cleanup(stop)
	context.AfterFunc(ctx, func() { program.Close() }) // the screen's Read ends, too
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestUpdateProcess$")
	cmd.Env = append(os.Environ(), updateArguments+"="+strings.Join(args, " "))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // Ctrl-C comes to it as SIGINT
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &session{t: t, screen: screen, cmd: cmd}
}

// waitFor reads the screen up to a text.
func (s *session) waitFor(text string) {
	s.t.Helper()
	b := make([]byte, 1000)
	for !strings.Contains(s.shown, text) {
		n, err := s.screen.Read(b)
		if s.shown += string(b[:n]); err != nil || !s.until.IsZero() && time.Now().After(s.until) {
			s.t.Fatalf("%v; the screen shows %q, want %q", err, s.shown, text)
		}
	}
}

func (s *session) echoes() bool {
	s.t.Helper()
	state, err := unix.IoctlGetTermios(int(s.screen.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// waitForSecrecy waits until what is typed is not shown: the question comes a moment earlier.
func (s *session) waitForSecrecy() {
	s.t.Helper()
	for range 60_000 {
		if !s.echoes() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("a password is shown: %q", s.shown)
}

func (s *session) press(keys string) {
	s.t.Helper()
	if _, err := s.screen.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

const ctrlC = "\x03"

func TestOneCtrlCEndsAQuestionAndLeavesTheTerminalAsItWas(t *testing.T) {
	b := newPlayedBoard(t)
	key := filepath.Join(t.TempDir(), "k.key")
	for name, c := range map[string]struct {
		args []string
		ask  func(*session) // up to the last question
	}{
		"password": {[]string{"keys", "new", "-o", key}, func(s *session) {
			s.waitFor("password for the new key")
			s.waitForSecrecy()
			s.press("open")
		}},
		"password once more": {[]string{"keys", "new", "-o", key}, func(s *session) {
			s.waitFor("password for the new key")
			s.waitForSecrecy()
			s.press("open sesame\r")
			s.waitFor("once more")
			s.waitForSecrecy()
		}},
		"yes or no": {[]string{"status", b.host}, func(s *session) {
			s.waitFor("[yes/no]")
			s.press("ye")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := onTerminal(t, c.args...)
			c.ask(s)
			s.press(ctrlC)
			s.waitFor("interrupted\r\n")
			if err := s.cmd.Wait(); s.cmd.ProcessState.ExitCode() != exitFailed {
				t.Errorf("%v, want exit code %d", err, exitFailed)
			}
			if !s.echoes() {
				t.Error("the terminal no longer shows what is typed")
			}
		})
	}
	if _, err := os.Stat(key); err == nil {
		t.Error("a key was made")
	}
	if len(b.asked) > 0 {
		t.Errorf("the board was asked %q", b.asked)
	}
}

func TestQuestionsOnATerminalAreAnswered(t *testing.T) {
	b := newPlayedBoard(t)
	s := onTerminal(t, "reboot", b.host)
	s.waitFor("[yes/no] ")
	s.press("yes\r")
	s.waitFor("password of the board: ")
	s.waitForSecrecy()
	s.press("sesame\r")
	s.waitFor(": restarts\r\n")
	if err := s.cmd.Wait(); err != nil || strings.Contains(s.shown, "sesame") {
		t.Errorf("%v, the screen shows %q", err, s.shown)
	}
}

//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// slowVerb is this test as a process of its own: a verb that needs a moment to end.
const slowVerb = "KRAZYCAM_SLOW_VERB"

func TestSecondSignalEndsAVerbOnlyIfItIsMeant(t *testing.T) {
	if os.Getenv(slowVerb) != "" {
		ctx, _ := untilTold()
		fmt.Println("runs")
		<-ctx.Done()
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test lets it end
		os.Exit(7)
	}
	for _, c := range []struct {
		name  string
		again bool
	}{
		{"a terminal and its script, at the same time", false},
		{"a person who presses Ctrl-C again", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run", "^TestSecondSignalEndsAVerbOnlyIfItIsMeant$")
			cmd.Env = append(os.Environ(), slowVerb+"=1")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "runs\n" {
				t.Fatalf("%q, %v", line, err)
			}
			send := func(s syscall.Signal) {
				if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Error(err)
				}
			}
			send(syscall.SIGINT)
			ended := make(chan struct{})
			if c.again {
				go func() {
					time.Sleep(patience + 200*time.Millisecond)
					for end := time.Now().Add(20 * time.Second); ; {
						select {
						case <-ended:
							return
						case <-time.After(100 * time.Millisecond):
						}
						if time.Now().After(end) {
							_ = cmd.Process.Kill()
							return
						}
						send(syscall.SIGTERM)
					}
				}()
			} else {
				send(syscall.SIGTERM)
				if err := stdin.Close(); err != nil {
					t.Error(err)
				}
			}
			_ = cmd.Wait() // how it ended is looked at
			close(ended)
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			killed := status.Signaled() && status.Signal() == syscall.SIGTERM
			if killed != c.again || !killed && status.ExitStatus() != 7 {
				t.Errorf("ended with %v, want killed %v", cmd.ProcessState, c.again)
			}
		})
	}
}

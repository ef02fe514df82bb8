//go:build unix

package main

import (
	"bufio"
	"fmt"
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
		time.Sleep(patience + 700*time.Millisecond)
		os.Exit(7)
	}
	for _, c := range []struct {
		name   string
		after  time.Duration // from the first signal to the second
		killed bool
	}{
		{"a terminal and its script, at the same time", 20 * time.Millisecond, false},
		{"a person who presses Ctrl-C again", patience + 200*time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run", "^TestSecondSignalEndsAVerbOnlyIfItIsMeant$")
			cmd.Env = append(os.Environ(), slowVerb+"=1")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "runs\n" {
				t.Fatalf("%q, %v", line, err)
			}
			for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.after)
			}
			_ = cmd.Wait() // how it ended is looked at
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if killed := status.Signaled() && status.Signal() == syscall.SIGTERM; killed != c.killed || !killed && status.ExitStatus() != 7 {
				t.Errorf("ended with %v, want killed %v", cmd.ProcessState, c.killed)
			}
		})
	}
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/pipeline"
)

func TestLogLinesPushTheLiveLineDown(t *testing.T) {
	var screen bytes.Buffer
	l := &liveLine{terminal: &screen, columns: func() int { return 20 }}
	fmt.Fprintln(l, "before")
	l.draw("streaming 0:01 and more than fits")
	fmt.Fprintln(l, "a log line")
	l.draw("")
	fmt.Fprintln(l, "sums")
	const line = "streaming 0:01 and "
	want := "before\n" + eraseLine + line + eraseLine + "a log line\n" + line + eraseLine + "sums\n"
	if got := screen.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLiveLineSaysWhatIsSentAndTheSumsAtTheEnd(t *testing.T) {
	var stages pipeline.Stages
	var screen bytes.Buffer
	drawn := make(chan bool, 1)
	l := &liveLine{terminal: notifyingWriter{&screen, drawn}, columns: func() int { return 200 }}
	ctx, cancel := context.WithCancel(t.Context())
	tick := make(chan time.Time)
	var done sync.WaitGroup
	done.Go(func() { l.show(ctx, &stages, tick) })
	second := func() { // the counters stand still while the line is drawn
		tick <- time.Time{}
		<-drawn
	}
	second()
	for range 2 {
		stages.Frames.Add(30)
		stages.Bytes.Add(75_000)
		stages.KeyFrames.Store(1)
		stages.Replaced.Add(2)
		second()
	}
	second()
	cancel()
	done.Wait()
	for _, want := range []string{
		"nothing is sent yet, 0:01", "30 pictures/s  600 kbit/s  2 left out",
		"nothing is sent for 0:01; before: 60 pictures",
		eraseLine + "60 pictures (1 key frames), 0.1 MB in 0:02: 30.0 pictures/s, 600 kbit/s, 4 left out\n",
	} {
		if !strings.Contains(screen.String(), want) {
			t.Errorf("no %q in %q", want, screen.String())
		}
	}
}

// A notifyingWriter says when something has been written.
type notifyingWriter struct {
	io.Writer
	written chan<- bool
}

func (w notifyingWriter) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	select {
	case w.written <- true:
	default:
	}
	return n, err
}

func TestProcessShowsALiveLineOnATerminalAndNowhereElse(t *testing.T) {
	media, reports := sink(t), sink(t)
	path := program(t)
	run := func(stderr *os.File, output io.Reader) string {
		cmd := exec.Command(path, "--camera", "pattern", "--size", "320x240",
			"--rtp", media.LocalAddr().String(), "--rtcp", reports.LocalAddr().String())
		cmd.Env = append(os.Environ(), "TERM=xterm")
		cmd.Stderr = stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := stderr.Close(); err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		read := make(chan struct{})
		ready := make(chan struct{})
		go func() {
			defer close(read)
			b := make([]byte, 4096)
			seen := false
			for {
				n, err := output.Read(b)
				all.Write(b[:n])
				if !seen && strings.Contains(all.String(), "camsource READY") {
					seen = true
					close(ready)
				}
				if err != nil { // EIO, once the last program has closed a terminal
					return
				}
			}
		}()
		select {
		case <-ready:
		case <-time.After(time.Minute):
			t.Error("no stream in a minute")
		}
		time.Sleep(2500 * time.Millisecond) // two lines
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
		<-read
		return all.String()
	}
	screen, slave := need.Terminal(t)
	if got := run(slave, screen); !strings.Contains(got, eraseLine+"streaming 0:0") ||
		!strings.Contains(got, " key frames), ") || !strings.Contains(got, "camsource READY rtp=") {
		t.Errorf("on a terminal: %q, want a live line and sums", got)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if got := run(writer, reader); strings.ContainsAny(got, "\r\x1b") || strings.Contains(got, "key frames)") {
		t.Errorf("into a pipe: %q, want the log alone", got)
	}
}

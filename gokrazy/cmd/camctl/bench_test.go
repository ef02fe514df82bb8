package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// benchConsole is what a board's console shows: carriage returns, the kernel in between, and
// once somebody who does not stamp his lines.
const benchConsole = "[    1.5] usb 1-1: new device\r\n" +
	"bench: 1 of 24: 320x240 speed -4 threads 1: 88 fps\r\n" +
	"size  fps\r\n320x240  88.0\r\n" +
	"camsource BENCH {\"version\":\"x\",\"ro[    9.1] usb 1-1: reset\r\n" +
	"recommended: 320x240 at 30 fps\r\n" +
	"bench: \x1b[31m2 of 24\r\n" +
	"camsource BENCH {\"version\":\"x\",\"rows\":[{\"fps\":88}]}\r\n" +
	"camsource READY rtp=10.0.2.2:5004\r\n"

func TestBenchKeepsTheFirstWholeResultOfAConsole(t *testing.T) {
	console := filepath.Join(t.TempDir(), "console")
	if err := os.WriteFile(console, []byte(benchConsole), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "r.json")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"bench", console, "--out", out}, &stdout, &stderr); code != exitDone {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	b, err := os.ReadFile(out)
	var r struct{ Rows []struct{ FPS float64 } }
	if err != nil || json.Unmarshal(b, &r) != nil || len(r.Rows) != 1 || r.Rows[0].FPS != 88 {
		t.Errorf("result file %s (%v)", b, err)
	}
	for _, want := range []string{"bench: 1 of 24: 320x240 speed -4 threads 1: 88 fps\n", "not whole",
		"\nrecommended: 320x240", "\nkept in " + out + "\n"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr.String())
		}
	}
	if strings.Contains(stderr.String(), "\x1b") || stdout.Len() != 0 {
		t.Errorf("stdout %q, stderr %q: want neither a result nor a terminal's commands", stdout.String(),
			stderr.String())
	}
}

func TestBenchReadsBehindTheKernelsLinesWhereverTheyStand(t *testing.T) {
	const said = "bench: 1 of 1: 88 fps\r\ncamsource BENCH {\"version\":\"x\",\"rows\":[{\"fps\":88}]}\r\n"
	const kernel = "[    9.123456] usb 1-1: USB disconnect, device number 2\r\n" +
		"[   10.000001] random: crng init done\r\n"
	const want = "{\n  \"version\": \"x\",\n  \"rows\": [\n    {\n      \"fps\": 88\n    }\n  ]\n}\n"
	for at := range len(said) + 1 {
		var progress bytes.Buffer
		got, err := awaitBench(strings.NewReader(said[:at]+kernel+said[at:]), &progress)
		if err != nil || string(got) != want || progress.String() != "bench: 1 of 1: 88 fps\n" {
			t.Errorf("the kernel at byte %d: %q, progress %q, %v", at, got, progress.String(), err)
		}
	}
}

func TestBenchSaysOnceThatABoardBeginsWithoutAResult(t *testing.T) {
	var progress bytes.Buffer
	const console = "camsource READY rtp=1\r\ncamsource READY rtp=1\r\ncamsource BENCH {}\r\n"
	if _, err := awaitBench(strings.NewReader(console), &progress); err != nil ||
		strings.Count(progress.String(), "does the board's krazycam.json say") != 1 {
		t.Errorf("%v, progress %q", err, progress.String())
	}
}

func TestBenchLooksForTheFoldersOfItsFilesFirst(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"bench", "-", "--out", "/nowhere/r.json"}, &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "/nowhere") {
		t.Errorf("exit code %d, %q", code, stderr.String())
	}
}

func TestInterruptEndsTheWaitForASilentBoard(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent, board, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer board.Close() // which ends the read
	_, err = interruptible(ctx, func() ([]byte, error) { cancel(); return awaitBench(silent, &bytes.Buffer{}) })
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("after the interrupt: %v", err)
	}
}

func TestBenchSaysWhyThereIsNoResult(t *testing.T) {
	for console, want := range map[string]string{
		"":                                       "does the board's krazycam.json say",
		"camsource BENCH {\"rows\":\n":           "not whole",
		strings.Repeat("x", maxBenchLine+1):      "too long",
		"camsource READY rtp=1\nbench: 1 of 2\n": "ended without a result",
	} {
		if _, err := awaitBench(strings.NewReader(console), &bytes.Buffer{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("console %.30q: %v, want %q", console, err, want)
		}
	}
}

func FuzzAwaitBench(f *testing.F) {
	f.Add([]byte(benchConsole))
	f.Add([]byte("camsource BENCH {\"a\":[    9.123456] x\r\n1}\r[    9.123456] \n\n"))
	f.Fuzz(func(t *testing.T, console []byte) {
		var progress bytes.Buffer
		result, err := awaitBench(bytes.NewReader(console), &progress)
		if (err == nil) != json.Valid(result) {
			t.Errorf("result %q, %v", result, err)
		}
		if strings.ContainsFunc(progress.String(), func(r rune) bool { return r < ' ' && r != '\n' }) {
			t.Errorf("progress %q holds a terminal's commands", progress.String())
		}
	})
}

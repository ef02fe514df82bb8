//go:build unix

// camctl update of many boards, as a process that is killed.

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/lock"
	"github.com/krazycam/krazycam/gokrazy/fleet"
	"github.com/krazycam/krazycam/gokrazy/fleet/fleettest"
	"github.com/krazycam/krazycam/gokrazy/remote"
)

// pushFleet is some boards that camctl knows, the bundle, and the file of hosts.
type pushFleet struct {
	boards        []*fleettest.Board
	bundle, hosts string
}

func newPushFleet(t *testing.T, n int, bad ...int) *pushFleet {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "configuration"))
	t.Setenv("SUDO_UID", "")
	t.Setenv(passwordVariable, fleettest.Password)
	file, key := fleettest.Bundle(t, "v2", 200, 28_000)
	f := &pushFleet{bundle: filepath.Join(dir, "v2.update"), hosts: filepath.Join(dir, "hosts")}
	known, err := remote.OpenUsersKnown()
	if err != nil {
		t.Fatal(err)
	}
	list := "# the cameras of the hall\n"
	for i := range n {
		b := fleettest.NewBoard(t, i, key)
		for _, one := range bad {
			b.Bad = b.Bad || one == i
		}
		if err := known.AddMade(b.Fingerprint, time.Now()); err != nil { // as camctl flash does
			t.Fatal(err)
		}
		f.boards, list = append(f.boards, b), list+b.Host()+"\n"
	}
	for path, content := range map[string]string{f.bundle: string(file), f.hosts: list} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *pushFleet) trials() (all int, twice []string) {
	for _, b := range f.boards {
		n := b.Trials()
		if all += n; n > 1 {
			twice = append(twice, b.Host())
		}
	}
	return all, twice
}

const updateArguments = "KRAZYCAM_UPDATE_ARGUMENTS"

// TestUpdateProcess is camctl as a process.
func TestUpdateProcess(t *testing.T) {
	args := os.Getenv(updateArguments)
	if args == "" {
		return
	}
	ctx, stop := untilTold()
	defer stop()
	os.Exit(run(ctx, strings.Fields(args), os.Stdout, os.Stderr))
}

// A killed process leaves a state that the next one goes on with: killed after some steps, until it comes
// to its end. Twenty boards, three of them bad, and nobody twice.
func TestUpdateOfTwentyBoardsIsKilledAndContinued(t *testing.T) {
	f := newPushFleet(t, 20, 3, 11, 17)
	kills := 0
	var stdout, stderr bytes.Buffer
	for {
		stdout.Reset()
		stderr.Reset()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestUpdateProcess$")
		cmd.Env = append(os.Environ(),
			updateArguments+"=update --hosts "+f.hosts+" --bundle "+f.bundle+" --at-once 3 --json")
		lines := &killer{after: 3 + kills%5, kill: func() { _ = cmd.Process.Kill() }, to: &stderr}
		cmd.Stdout, cmd.Stderr = &stdout, lines
		err := cmd.Run()
		if err != nil && cmd.ProcessState.ExitCode() >= 0 {
			if cmd.ProcessState.ExitCode() != exitFailed {
				t.Fatalf("%v: %s", err, &stderr)
			}
			break // it came to its end
		}
		if kills++; err == nil || kills > 200 {
			t.Fatalf("after %d kills: %v\n%s", kills, err, &stderr)
		}
	}
	all, twice := f.trials()
	if all != 20 || len(twice) > 0 {
		t.Errorf("%d trials, twice by %q", all, twice)
	}
	if last := stderr.String(); !strings.Contains(last, "3 of 20 boards do not run v2") {
		t.Errorf("it says at last %q", last)
	}
	ends := map[fleet.Step]int{}
	rows := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	for _, line := range rows[:len(rows)-1] {
		var row fleet.Row
		if err := json.Unmarshal([]byte(line), &row); err != nil || row.Host == "" {
			t.Fatalf("%q: %v", line, err)
		}
		ends[row.Step]++
	}
	if ends[fleet.Promoted]+ends[fleet.Already] != 17 || ends[fleet.FellBack] != 3 || len(rows) != 21 {
		t.Errorf("%v in %d lines", ends, len(rows))
	}
	var sums struct {
		Summary bool
		Version string
		Ends    map[fleet.Step]int
	}
	if err := json.Unmarshal([]byte(rows[20]), &sums); err != nil || !sums.Summary || sums.Ends[fleet.FellBack] != 3 {
		t.Errorf("the last line %q: %v", rows[20], err)
	}
	t.Logf("FIGURE fleet: %d kills, 20 boards, nobody twice", kills)
}

// A killer kills after some steps of boards.
type killer struct {
	after, lines int
	kill         func()
	to           *bytes.Buffer
}

func (k *killer) Write(b []byte) (int, error) {
	// A board that has ended is said by each process anew; it would be killed before it began.
	for _, step := range []string{": begun\n", ": taken\n"} {
		k.lines += bytes.Count(b, []byte(step))
	}
	if k.lines >= k.after {
		k.kill()
	}
	return k.to.Write(b)
}

func TestUpdateOfManyBoardsStopsAndSaysHowToGoOn(t *testing.T) {
	f := newPushFleet(t, 8, 0, 1)
	code, stdout, stderr := camctl(t, "update", "--hosts", f.hosts, "--bundle", f.bundle,
		"--at-once", "1", "--stop-after", "2")
	if code != exitFailed || stdout != "" ||
		!strings.Contains(stderr, "stopped: 2 boards fell back from v2, 6 were not begun") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if all, _ := f.trials(); all != 2 {
		t.Errorf("%d boards tried it, want 2", all)
	}
	code, _, stderr = camctl(t, "update", "--hosts", f.hosts, "--bundle", f.bundle)
	if code != exitFailed || !strings.Contains(stderr, "8 of 8 boards: 6 promoted, 2 fell back") {
		t.Errorf("without the limit: exit code %d, %q", code, stderr)
	}
	if all, twice := f.trials(); all != 8 || len(twice) > 0 {
		t.Errorf("%d trials, twice by %q", all, twice)
	}
	info, err := os.Stat(f.hosts + ".v2.state")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the state: %v, %v", info, err)
	}
}

func TestUpdateThatIsStoppedSaysWhy(t *testing.T) {
	s := fleet.Summary{Update: fleet.Update{Version: "v2"}, Boards: 9, Stopped: true,
		Ends: map[fleet.Step]int{fleet.FellBack: 1, fleet.Unknown: 2, fleet.Promoted: 1}}
	want := "stopped: 1 boards fell back from v2, 2 took it and fell silent, 5 were not begun"
	if err := explainFleet(s, "state", nil); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestUpdateOfGoodBoardsEndsWell(t *testing.T) {
	f := newPushFleet(t, 3)
	state := filepath.Join(t.TempDir(), "state")
	args := []string{"update", f.boards[0].Host(), f.boards[1].Host(), "--bundle", f.bundle, "--state", state}
	code, stdout, stderr := camctl(t, args...)
	if code != exitDone || stdout != "" || !strings.Contains(stderr, "2 of 2 boards: 2 promoted") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, _, _ := camctl(t, args...); code != exitDone || f.boards[2].Trials() != 0 {
		t.Errorf("the second time: exit code %d", code)
	}
	unlock, err := lock.File(state + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	code, _, stderr = camctl(t, args...)
	if code != exitFailed || !strings.Contains(stderr, "another camctl update uses "+state) {
		t.Errorf("two at a time: exit code %d, %q", code, stderr)
	}
}

func TestBoardThatCamctlDoesNotKnowIsLeftOut(t *testing.T) {
	f := newPushFleet(t, 2)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	code, _, stderr := camctl(t, "update", "--hosts", f.hosts, "--bundle", f.bundle)
	if code != exitFailed || strings.Count(stderr, "camctl status "+f.boards[0].Host()+" asks about it once") != 1 {
		t.Errorf("exit code %d, %q", code, stderr)
	}
	if all, _ := f.trials(); all != 0 {
		t.Errorf("%d trials", all)
	}
}

func TestUpdateOfManyBoardsIsCalledRightly(t *testing.T) {
	f := newPushFleet(t, 1)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--hosts", f.hosts, "--at-once", "0"}, exitUsage, "1 or more"},
		{[]string{"--hosts", f.hosts, "--stop-after", "-1"}, exitUsage, "0 or more"},
		{[]string{"--hosts", f.hosts, "--fingerprint", "00"}, exitUsage, "one board's"},
		{[]string{"--at-once", "2"}, exitUsage, "HOST missing"},
		{[]string{"--hosts", f.bundle}, exitFailed, f.bundle + ":1: "},
		{[]string{"--hosts", f.hosts + "x"}, exitFailed, "no such file"},
		{[]string{"--hosts", f.hosts, "--state", f.hosts}, exitFailed, "no state file"},
	} {
		code, _, stderr := camctl(t, append([]string{"update", "--bundle", f.bundle}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit code %d, %q, want %d and %q", c.args, code, stderr, c.code, c.says)
		}
	}
	if f.boards[0].Trials() != 0 {
		t.Error("a board got the update")
	}
}

// The table draws over itself and never leaves a line behind.
func TestTableIsDrawnOverItself(t *testing.T) {
	var screen bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	s := &fleetShow{w: &screen, live: true, total: 3, now: func() time.Time { now = now.Add(time.Second); return now },
		ends: map[fleet.Step]int{}, at: map[string]string{}, steps: map[string]fleet.Step{}}
	s.report(fleet.Row{Host: "a", Step: fleet.Begun}, remote.Progress{})
	s.report(fleet.Row{Host: "b", Step: fleet.Begun},
		remote.Progress{Step: remote.StepSending, Done: 5e5, Total: 1e6, Unit: remote.Bytes})
	s.report(fleet.Row{Host: "a", Step: fleet.FellBack, Reason: "no \x1b[2J picture"}, remote.Progress{})
	s.report(fleet.Row{Host: "b", Step: fleet.Taken}, remote.Progress{Step: remote.StepTrial, Done: 3, Total: 60,
		Unit: remote.Seconds, Text: strings.Repeat("long ", 40)})
	s.report(fleet.Row{Host: "b", Step: fleet.Promoted, Sent: 2e6, Seconds: 30}, remote.Progress{})
	s.end(fleet.Summary{})
	want := []string{
		`a: fell back: no \x1b[2J picture`, "b: promoted: 2.0 MB sent, 30 s", "2 of 3 boards: 1 promoted, 1 fell back",
	}
	if got := play(screen.String()); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the screen shows %q, want %q", got, want)
	}
	for _, line := range strings.Split(screen.String(), "\n") {
		if strings.HasPrefix(line, "  ") && len([]rune(line)) > tableWidth {
			t.Errorf("a line of %d columns", len([]rune(line)))
		}
	}
}

// play is what a terminal shows after the bytes of a table: it knows "up N lines" and "clear what is below".
func play(text string) (lines []string) {
	for len(text) > 0 {
		if up, rest, is := strings.Cut(text, "A\x1b[J"); is && strings.HasPrefix(up, "\x1b[") &&
			strings.Trim(up[2:], "0123456789") == "" {
			n := 0
			for _, d := range up[2:] {
				n = n*10 + int(d-'0')
			}
			lines, text = lines[:len(lines)-n], rest
			continue
		}
		line, rest, _ := strings.Cut(text, "\n")
		lines, text = append(lines, line), rest
	}
	return lines
}

// What people run around the tree keeps its word: scripts/test counts and repeats as it says, and
// the commands of CONTRIBUTING.md work as they stand there.

package krazycam_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// suiteModule is a module with each kind of test that scripts/test must tell apart. A test that
// fails once leaves a file behind and passes when it finds it.
var suiteModule = map[string]string{
	"go.mod": "module example.com/suite\n\ngo 1.26\n",
	"once/once_test.go": `package once

import (
	"os"
	"testing"
)

func TestFailsOnce(t *testing.T) {
	t.Run("part", func(t *testing.T) {
		if first("failed-once") {
			t.Error("the first time")
		}
	})
}

func TestPasses(t *testing.T) {}

func TestSkips(t *testing.T) { t.Skip("for want of a tool") }

func first(name string) bool {
	f, err := os.OpenFile("../"+name, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
`,
	"panics/panics_test.go": `package panics

import (
	"os"
	"testing"
)

func TestPanicsOnce(t *testing.T) {
	if os.Mkdir("../panicked-once", 0o700) == nil {
		panic("the first time")
	}
}

func TestBehindThePanic(t *testing.T) { t.Log("FIGURE 7 of the test behind") }
`,
	"fails/fails_test.go": `package fails

import "testing"

func TestFails(t *testing.T) { t.Error("each time") }
`,
	"broken/broken_test.go": "package broken\n\nvar a int = \"no number\"\n",
}

// runSuite runs steps of scripts/test-steps in suiteModule and returns what they printed.
func runSuite(t *testing.T, steps string) (out, folder string, err error) {
	t.Helper()
	folder = t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range suiteModule {
		write(name, text)
	}
	for _, name := range []string{"scripts/test-steps", "scripts/test.jq"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(name, string(b))
	}
	write("out/test/figures.txt", "")
	cmd := exec.Command("bash", "-c", "set -uo pipefail; . scripts/test-steps; "+steps+"; finish")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	b, err := cmd.CombinedOutput()
	return string(b), folder, err
}

func TestSuiteRepeatsWhatFailedOnceAndNamesItAsFlaky(t *testing.T) {
	need.Tools(t, "bash", "jq")
	out, folder, err := runSuite(t, "go_test a -- ./once ./panics; measure b mkdir c; measure d test -d e || mkdir e")
	for _, want := range []string{
		"once more, alone: example.com/suite/once TestFailsOnce\n", "once more, alone: example.com/suite/panics -\n",
		"once: --- SKIP: TestSkips", "flaky: example.com/suite/once TestFailsOnce\n",
		"flaky: example.com/suite/panics -\n", "step: ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in the output", want)
		}
	}
	// TestFailsOnce, its part, TestPasses, TestPanicsOnce and the check b; d fails both times.
	if err == nil || !strings.HasSuffix(out, "\n5 passed, 1 failed, 1 skipped\n") {
		t.Errorf("err = %v, want an exit code and 5 passed, 1 failed, 1 skipped at the end", err)
	}
	if figures, err := os.ReadFile(filepath.Join(folder, "out/test/figures.txt")); err != nil ||
		string(figures) != "7 of the test behind\n" {
		t.Errorf("figures.txt = %q, %v, want the figure of the test behind the panic", figures, err)
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestSuiteFailsWithTestsThatFailOrDoNotBuild(t *testing.T) {
	need.Tools(t, "bash", "jq")
	out, _, err := runSuite(t, "go_test a -- ./fails; go_test b -- ./broken")
	if err == nil || !strings.HasSuffix(out, "\n0 passed, 2 failed, 0 skipped\n") || strings.Contains(out, "flaky:") {
		t.Errorf("err = %v, want an exit code, two failed and none flaky:\n%s", err, out)
	}
}

func TestSuiteFailsWithMoreThanThreeFlakyTests(t *testing.T) {
	need.Tools(t, "bash", "jq")
	const onceEach = `once() { [ -e "$1" ] || { touch "$1"; return 1; }; }
for n in 1 2 3 4; do measure "m$n" once "$n"; done`
	out, _, err := runSuite(t, onceEach)
	if err == nil || !strings.HasSuffix(out, "FAIL: 4 flaky tests, 3 at most\n4 passed, 1 failed, 0 skipped\n") {
		t.Errorf("err = %v, want an exit code and 4 passed, 1 failed:\n%s", err, out)
	}
	out, _, err = runSuite(t, strings.Replace(onceEach, "1 2 3 4", "1 2 3", 1))
	if err != nil || !strings.HasSuffix(out, "flaky: m3\n3 passed, 0 failed, 0 skipped\n") {
		t.Errorf("err = %v, want none and 3 passed:\n%s", err, out)
	}
}

// runScript runs a script of the tree, without what the environment says of versions.
func runScript(t *testing.T, name string, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(abs(t, name), args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KRAZYCAM_") })
	b, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(b)
}

func TestReleaseRefusesWhatItWouldNotMake(t *testing.T) {
	need.Tools(t, "bash", "git")
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "photo"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Downloads beside the files of a release, as a person has them.
	downloads := t.TempDir()
	for name, text := range map[string]string{"RELEASE-NOTES.md": "# krazycam v0.2.0\n", "photo": "",
		"SHA256SUMS": strings.Repeat("0", 64) + "  RELEASE-NOTES.md\n"} {
		if err := os.WriteFile(filepath.Join(downloads, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, dev := runScript(t, "scripts/version")
	dev = strings.TrimSpace(dev)
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"no version", nil, 2, "VERSION must be like v0.2.0"},
		{"a number that is no version", []string{"0.2.0"}, 2, "VERSION must be like v0.2.0"},
		{"a path", []string{"v0/../2"}, 2, "VERSION must be like v0.2.0"},
		{"a flag without its value", []string{"v0.2.0", "--key"}, 2, "--key needs a value"},
		{"an unknown flag", []string{"v0.2.0", "--keys", "f"}, 2, "unknown --keys"},
		{"an unknown board", []string{"v0.2.0", "--board", "pi"}, 2, "--board is rpi or bbb"},
		{"another commit's name", []string{"v0.2.0-dev+000000000000"}, 1, "nor this tree's: " + dev},
		{"a version without its tag", []string{"v99.0.0"}, 1, "there is no tag v99.0.0: git tag v99.0.0"},
		{"a release among other files", []string{dev, "--out", downloads}, 1, "holds something else than a release"},
		{"a folder of somebody else", []string{dev, "--out", other}, 1, "holds something else than a release"},
	} {
		if code, out := runScript(t, "scripts/release", c.args...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", c.name, code, c.code, c.says, out)
		}
	}
}

// TestReleaseCheckFindsWhatWasChanged has a release of one file, which check_sums looks at first.
func TestReleaseCheckFindsWhatWasChanged(t *testing.T) {
	need.Tools(t, "bash", "minisign", "sha256sum")
	for _, c := range []struct{ name, change, says string }{
		{"nothing", ":", "3 files are those of SHA256SUMS"},
		{"a byte", "echo >>camctl", "camctl: FAILED"},
		{"a file more", "touch more", "SHA256SUMS does not list what is here"},
		{"a file less", "rm camctl", "camctl: FAILED open or read"},
		{"file and sum", "echo >>camctl; sha256sum RELEASE-NOTES.md TEST-KEY.pub camctl >SHA256SUMS",
			"SHA256SUMS.minisig is not by TEST-KEY.pub"},
	} {
		cmd := exec.Command("bash", "-c", `set -e
echo '# krazycam v0.2.0' >RELEASE-NOTES.md
echo 1 >camctl
cp "$1.pub" .
sha256sum -- * >SHA256SUMS
install -m 600 "$1.key" ../key
minisign -S -s ../key -m SHA256SUMS >/dev/null
`+c.change, "bash", abs(t, "scripts/packaging/testkey/TEST-KEY"))
		cmd.Dir = filepath.Join(t.TempDir(), "dist")
		if err := os.Mkdir(cmd.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if _, out := runScript(t, "scripts/release-check", cmd.Dir); !strings.Contains(out, c.says) {
			t.Errorf("%s changed: no %q:\n%s", c.name, c.says, out)
		}
	}
}

func abs(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// contributingCommands are the commands of CONTRIBUTING.md's blocks of code, without remarks.
func contributingCommands(t *testing.T) (commands []string) {
	t.Helper()
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			command, _, _ := strings.Cut(line, "  #")
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

// TestContributingsCommandsWork runs them in their order in one shell, as their reader does. What
// scripts/test runs already is only asked how it is used: it would run itself.
func TestContributingsCommandsWork(t *testing.T) {
	need.Tools(t, "bash")
	commands := contributingCommands(t)
	if !slices.Contains(commands, "scripts/test") || !slices.Contains(commands, "scripts/test --quick") ||
		len(commands) < 6 {
		t.Fatalf("commands of CONTRIBUTING.md: %q", commands)
	}
	script := "set -e\n"
	for _, c := range commands {
		if strings.HasPrefix(c, "scripts/test") {
			_, option, _ := strings.Cut(c, " ")
			usage, err := exec.Command("scripts/test", "--help").CombinedOutput()
			if err == nil || option != "" && !strings.Contains(string(usage), option) {
				t.Errorf("%s: usage is %q (%v)", c, usage, err)
			}
			continue
		}
		script += "echo '+ " + strings.ReplaceAll(c, "'", `'\''`) + "'\n" + c + "\n"
	}
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KRAZYCAM_") })
	out, err := cmd.CombinedOutput()
	if err != nil || regexp.MustCompile(`no tests to run|no test files`).Match(out) {
		t.Errorf("the commands of CONTRIBUTING.md: %v\n%s", err, out)
	}
}

// TestVersionIsThatOfACleanCommitsTag asks scripts/version in a repository of its own.
func TestVersionIsThatOfACleanCommitsTag(t *testing.T) {
	need.Tools(t, "bash", "git")
	cmd := exec.Command("bash", "-c", `set -euo pipefail
mkdir scripts
cp "$1" scripts/
echo "none $(GIT_CEILING_DIRECTORIES=$(dirname "$PWD") scripts/version)"
git init -q .
git add .
git -c user.name=a -c user.email=a@example.com commit -q -m a
commit=$(git rev-parse --short=12 HEAD)
say() { echo "$1 $(scripts/version | sed "s/$commit/COMMIT/")"; }
say clean
git tag v0.3.0-rc.1
say candidate
git tag v0.3.0
say tag
git tag v0.10.0
say latest
KRAZYCAM_VERSION=v9.9.9 say given
touch unknown
say untracked
echo >>scripts/version
say changed
`, "bash", abs(t, "scripts/version"))
	cmd.Dir = t.TempDir()
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "KRAZYCAM_") || strings.HasPrefix(v, "GIT_")
	})
	out, err := cmd.CombinedOutput()
	next := regexp.MustCompile(`(?m)^clean (v\d+\.\d+\.\d+)-dev\+COMMIT$`).FindSubmatch(out)
	if err != nil || next == nil {
		t.Fatalf("scripts/version: %v\n%s", err, out)
	}
	want := strings.ReplaceAll(`none NEXT-dev+unknown
clean NEXT-dev+COMMIT
candidate NEXT-dev+COMMIT
tag v0.3.0
latest v0.10.0
given v9.9.9
untracked v0.10.0
changed NEXT-dev+COMMIT.dirty
`, "NEXT", string(next[1]))
	if string(out) != want {
		t.Errorf("scripts/version says\n%s\nwant\n%s", out, want)
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/disk"
)

// camctl runs one command line and gives its exit code, stdout and stderr.
func camctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(context.Background(), args, &out, &err)
	return code, out.String(), err.String()
}

// tinyImage has what flash looks at before it writes: a table and a place for a seed.
func tinyImage(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "tiny.img"))
	if err != nil {
		t.Fatal(err)
	}
	const start, size = 1 << 20, 8 << 20
	table := disk.Table{Disk: disk.GUID{1}, Size: 16 << 20,
		Partitions: []disk.Partition{{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: start, Size: size}}}
	boot := []disk.Entry{{Path: "krazycam.json", Bytes: make([]byte, 16<<10)}}
	err = errors.Join(f.Truncate(table.Size), disk.WriteTable(f, table),
		disk.WriteFAT(io.NewOffsetWriter(f, start), disk.FATOptions{Size: size}, boot), f.Close())
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestExitCodesTellWrongUseFromFailure(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	secret := filepath.Join(dir, "secret.json")
	keyless, utf16 := filepath.Join(dir, "keyless.json"), filepath.Join(dir, "utf16.json")
	packed := filepath.Join(dir, "cam.img.xz")
	for file, text := range map[string]string{
		packed:  "\xfd7zXZ\x00, and the rest of an image",
		keyless: `{"gateway": {"url": "https://a.example"}}`, utf16: "\xff\xfe{\x00}\x00", broken: "{\n\"gatway\": {}\n}",
		secret: `{"gateway": {"url": "https://a.example", "key": "sesame"}}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "cam.img")
	image, small := tinyImage(t, dir), filepath.Join(dir, "small")
	if err := os.WriteFile(small, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // in the one line on stderr
	}{
		{"no such verb", []string{"imge"}, exitUsage, `unknown command "imge"`},
		{"no such flag", []string{"boards", "--jsn"}, exitUsage, "unknown flag: --jsn"},
		{"an argument too many", []string{"boards", "x"}, exitUsage, "x"},
		{"a required flag missing", []string{"image", "-o", out}, exitUsage, `required flag(s) "board" not set`},
		{"an unknown board", []string{"image", "--board", "pi9", "-o", out}, exitUsage,
			`unknown board "pi9": there is rpi`},
		{"no folder for a board of Debian packages",
			[]string{"image", "--board", "bbb", "-o", out, "--pins", broken}, exitUsage, "scripts/image does"},
		{"sources of something else than an image", []string{"sources", broken}, exitFailed,
			"broken.json: primary GPT"},
		{"no image to inspect", []string{"inspect", out}, exitFailed, "cam.img: no such file"},
		{"an image as it was downloaded", []string{"inspect", packed}, exitFailed, "xz -dk"},
		{"a VM of an image as it was downloaded", []string{"vm", packed}, exitFailed, "xz -dk"},
		{"something else than an image", []string{"inspect", broken}, exitFailed, "broken.json: primary GPT"},
		{"no card", []string{"flash", out, filepath.Join(dir, "card")}, exitFailed, "no such file"},
		{"an image larger than the card", []string{"flash", image, small}, exitFailed,
			"card is smaller than the image: " + small + " has 1048576 bytes"},
		{"no image on the way to a card", []string{"flash", broken, small}, exitFailed, "primary GPT"},
		{"an unknown key in a VM's seed", []string{"vm", image, "--seed", broken}, exitFailed,
			"broken.json:2: gatway"},
		{"an unknown key in an image's defaults",
			[]string{"image", "--board", "rpi", "-o", out, "--config", broken}, exitFailed, "broken.json:2: gatway"},
		{"an unknown key in a seed", []string{"flash", "--seed", broken, out, out}, exitFailed, "broken.json:2: "},
		{"a seed that camsource would refuse", []string{"flash", "--seed", keyless, image, small}, exitFailed,
			"keyless.json: gateway.key: is missing"},
		{"the same for a VM", []string{"vm", image, "--seed", keyless}, exitFailed,
			"keyless.json: gateway.key: is missing"},
		{"a seed of Notepad's", []string{"flash", "--seed", utf16, image, small}, exitFailed,
			"utf16.json:1: this is UTF-16 text: save it as UTF-8 (Notepad"},
		{"a secret for an image", []string{"image", "--board", "rpi", "-o", out, "--config", secret},
			exitFailed, "an image holds no secret"},
		{"no programs", []string{"image", "--board", "rpi", "-o", out, "--programs", dir, "--u-boot", dir,
			"--pins", "../../../scripts/pins"}, exitFailed, "build it with scripts/build arm64"},
	} {
		code, stdout, stderr := camctl(t, c.args...)
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		if last := lines[len(lines)-1]; code != c.code || !strings.HasPrefix(last, "camctl") ||
			!strings.Contains(last, c.want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q in it", c.name, code, stderr, c.code, c.want)
		}
		if stdout != "" {
			t.Errorf("%s: %q on stdout", c.name, stdout)
		}
		if strings.Contains(stderr, "sesame") {
			t.Errorf("%s: shows the key", c.name)
		}
	}
}

func TestBoardsListsModelsForPeopleAndMachines(t *testing.T) {
	code, stdout, _ := camctl(t, "boards")
	for _, want := range []string{"rpi: ", "Raspberry Pi Zero 2 W", "640x480", "bbb: ", "BeagleBone Green",
		"values: size, rate, speed, bit rate and what USB carries are estimates"} {
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, no %q in %q", code, want, stdout)
		}
	}
	code, stdout, _ = camctl(t, "boards", "--json")
	var got struct {
		Boards []struct {
			Name   string
			Models []struct {
				Speed  int
				Source string
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitDone {
		t.Fatalf("exit code %d, %v: %q", code, err, stdout)
	}
	if got.Boards[0].Name != "rpi" || len(got.Boards[0].Models) != 8 ||
		got.Boards[0].Models[0].Speed != -12 || got.Boards[0].Models[0].Source == "" {
		t.Errorf("%+v", got)
	}
}

func TestHelpAndCompletionAreThere(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help", "flash"}, {"completion", "bash"}, {"--version"}} {
		if code, stdout, stderr := camctl(t, args...); code != exitDone || stdout == "" || stderr != "" {
			t.Errorf("%q: exit code %d, %d bytes, %q", args, code, len(stdout), stderr)
		}
	}
}

func TestTabOffersTheBoards(t *testing.T) {
	_, stdout, _ := camctl(t, "__complete", "image", "--board", "")
	if !strings.HasPrefix(stdout, "rpi\tRaspberry Pi") || !strings.Contains(stdout, "\nbbb\t") {
		t.Errorf("%q", stdout)
	}
}

func TestPrintableKeepsAStrangersTextFromTheTerminal(t *testing.T) {
	if got := printable("a\x1b[2Jb\nc"); got != `a\x1b[2Jb\nc` {
		t.Errorf("%q", got)
	}
	err := fmt.Errorf("file \x1b]0;name\a: %w\nunknown flag: \"--öl\"", os.ErrInvalid)
	if got := oneLine(err); got != `file \x1b]0;name\a: invalid argument unknown flag: "--öl"` {
		t.Errorf("%q", got)
	}
}

// lineOfFailure runs a command line that must fail soon, and gives its one line.
func lineOfFailure(t *testing.T, what string, args []string) string {
	t.Helper()
	type outcome struct {
		code   int
		stderr string
	}
	done := make(chan outcome, 1)
	go func() {
		code, _, stderr := camctl(t, args...)
		done <- outcome{code, stderr}
	}()
	select {
	case <-time.After(time.Minute):
		t.Fatalf("%s: still waits after a minute", what)
		return ""
	case o := <-done:
		line := strings.TrimSuffix(o.stderr, "\n")
		if o.code != exitFailed || strings.Contains(line, "\n") || line == "" {
			t.Errorf("%s: exit code %d, %q, want %d and one line", what, o.code, o.stderr, exitFailed)
		}
		if twice := saidTwice(line); twice != "" {
			t.Errorf("%s: %q comes twice in %q", what, twice, line)
		}
		return line
	}
}

// saidTwice is what an error message repeats: a part of it, or the file that it is about.
func saidTwice(line string) string {
	program, rest, _ := strings.Cut(line, " ")
	seen := map[string]bool{program: true}
	line = rest // the verb without camctl: it must not come again
	for part := range strings.SplitSeq(line, ": ") {
		if seen[part] {
			return part
		}
		seen[part] = true
	}
	for word := range strings.FieldsSeq(line) {
		word = strings.Trim(word, ":,()")
		if strings.Contains(word, "/") && len(word) > 4 && strings.Count(line+" ", word) > 1 &&
			!strings.Contains(line, "chmod 600 "+word) {
			return word
		}
	}
	return ""
}

// How the tree's text looks: no line is too wide, and README.md stays short.

package krazycam_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	lineLimit   = 120 // columns
	tabWidth    = 4   // columns, as most editors show Go
	readmeLimit = 60  // lines
)

// longLinesToMend are files that still have longer lines. It only gets smaller.
var longLinesToMend = []string{
	"firmware/bench/recommend.go",
	"firmware/cmd/camsource/bars_test.go",
	"firmware/cmd/camsource/bench.go",
	"firmware/cmd/camsource/bench_once_test.go",
	"firmware/cmd/camsource/bench_process_test.go",
	"firmware/cmd/camsource/bench_test.go",
	"firmware/cmd/camsource/cameras_test.go",
	"firmware/cmd/camsource/janus_process_test.go",
	"firmware/cmd/camsource/janus_test.go",
	"firmware/cmd/camsource/stream.go",
	"firmware/config/config_test.go",
	"firmware/config/forms.go",
	"firmware/config/table_test.go",
	"firmware/config/values.go",
	"firmware/overload/overload_test.go",
	"gokrazy/card/seed_test.go",
	"gokrazy/cmd/camctl/bench.go",
	"gokrazy/cmd/camctl/bench_console.go",
	"gokrazy/cmd/camctl/bench_test.go",
	"gokrazy/cmd/camctl/boards.go",
	"gokrazy/cmd/camctl/flash.go",
	"gokrazy/cmd/camctl/main_test.go",
	"gokrazy/cmd/camctl/receive.go",
	"gokrazy/cmd/camctl/vm_test.go",
	"gokrazy/disk/fatread.go",
	"gokrazy/disk/fuzz_test.go",
	"gokrazy/disk/gpt_test.go",
	"gokrazy/disk/tree.go",
	"gokrazy/flash/flash.go",
	"gokrazy/flash/flash_test.go",
	"gokrazy/image/bomb_test.go",
	"gokrazy/image/bone_test.go",
	"gokrazy/image/check_test.go",
	"gokrazy/image/ext4_test.go",
	"gokrazy/image/imagetest/imagetest.go",
	"gokrazy/image/imagetest/program.go",
	"gokrazy/image/licence.go",
	"gokrazy/image/parts.go",
	"gokrazy/image/sbom.go",
	"gokrazy/initramfs/modinfo_test.go",
	"gokrazy/initramfs/order.go",
	"gokrazy/rig/bone_test.go",
	"gokrazy/rig/bone_update_test.go",
	"gokrazy/rig/calibration_test.go",
	"gokrazy/rig/checks_test.go",
}

func TestNoLineIsLongerThanTheLimit(t *testing.T) {
	for _, path := range textFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		long := longLines(path, string(text))
		listed := slices.Contains(longLinesToMend, path)
		switch {
		case len(long) == 0 && listed:
			t.Errorf("%s has no long line any more: take it off longLinesToMend", path)
		case len(long) > 0 && !listed:
			t.Errorf("%s: %d lines of more than %d columns, the first: %s", path, len(long), lineLimit, long[0])
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > readmeLimit {
		t.Errorf("README.md has %d lines, want at most %d: details belong into docs/", n, readmeLimit)
	}
}

// textFiles lists what people read and write by hand: programs, scripts and Markdown. What tests
// compare with (testdata), what a build makes (out) and hidden folders are left out.
func textFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && path != "." && name != ".ci" &&
			(name == "testdata" || name == "out" || name[0] == '.'):
			return filepath.SkipDir
		case !d.IsDir() && isText(path):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func isText(path string) bool {
	switch filepath.Ext(path) {
	case ".go", ".c", ".h", ".md", ".js", ".html":
		return true
	}
	switch filepath.Dir(path) {
	case "scripts", ".ci":
		return true
	}
	return path == "NOTICE"
}

var (
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	webURL    = regexp.MustCompile(`https?://\S+`)
)

// longLines returns the lines of a text that are too wide. A URL cannot be broken, so it does
// not count; nor do tables and fenced blocks of Markdown.
func longLines(path, text string) (long []string) {
	markdown := filepath.Ext(path) == ".md" || path == "NOTICE"
	if generated.MatchString(text) {
		return nil
	}
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if markdown && strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		table := strings.HasPrefix(strings.TrimSpace(line), "|")
		if markdown && (fenced || table) {
			continue
		}
		if columns(webURL.ReplaceAllString(line, "")) > lineLimit {
			long = append(long, line)
		}
	}
	return long
}

// columns is the width of a line.
func columns(line string) int {
	return utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabWidth-1)
}

func TestLongLinesAreFound(t *testing.T) {
	wide := strings.Repeat("x", lineLimit+1)
	for _, c := range []struct {
		name, path, text string
		want             int // long lines
	}{
		{"a line at the limit", "a.go", strings.Repeat("x", lineLimit) + "\n", 0},
		{"one beyond it", "a.go", wide, 1},
		{"a tab is more than a column", "a.go", "\t" + wide[4:], 1},
		{"a letter is one, whatever its bytes", "a.go", strings.Repeat("ü", lineLimit), 0},
		{"a URL does not count", "scripts/setup", "# see https://example.org/" + wide, 0},
		{"what stands beside it does", "scripts/setup", "https://example.org/ " + wide, 1},
		{"a generated file", "a.go", "// Code generated by x. DO NOT EDIT.\n" + wide, 0},
		{"a table and a block of Markdown", "a.md", "| " + wide + " |\n```\n" + wide + "\n```\n", 0},
		{"prose behind them", "a.md", "```\n```\n" + wide, 1},
		{"a table that is none", "a.go", "| " + wide, 1},
	} {
		if got := len(longLines(c.path, c.text)); got != c.want {
			t.Errorf("%s: longLines finds %d, want %d", c.name, got, c.want)
		}
	}
}

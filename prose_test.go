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
	"firmware/rtpsend/departures/departures_test.go",
	"firmware/rtpsend/echo_test.go",
	"firmware/rtpsend/estimate_test.go",
	"firmware/rtpsend/extension_test.go",
	"firmware/rtpsend/feedback/feedback_test.go",
	"firmware/rtpsend/feedback/transport_test.go",
	"firmware/rtpsend/feedback_test.go",
	"firmware/rtpsend/fuzz_test.go",
	"firmware/rtpsend/interop_test.go",
	"firmware/rtpsend/ipv6_test.go",
	"firmware/rtpsend/keyframes_test.go",
	"firmware/rtpsend/link_test.go",
	"firmware/rtpsend/log_test.go",
	"firmware/rtpsend/loss_test.go",
	"firmware/rtpsend/outage_test.go",
	"firmware/rtpsend/packet/packet_test.go",
	"firmware/rtpsend/queue_test.go",
	"firmware/rtpsend/repeat_test.go",
	"firmware/rtpsend/report_test.go",
	"firmware/rtpsend/resend/resend_test.go",
	"firmware/rtpsend/resend_test.go",
	"firmware/rtpsend/rtpsend.go",
	"firmware/rtpsend/sdp.go",
	"firmware/rtpsend/sdp_test.go",
	"firmware/rtpsend/sender_test.go",
	"firmware/rtpsend/session/breaker.go",
	"firmware/rtpsend/session/breaker_test.go",
	"firmware/rtpsend/session/schedule_test.go",
	"firmware/rtpsend/session/session.go",
	"firmware/rtpsend/session/session_test.go",
	"firmware/rtpsend/srtp.go",
	"firmware/rtpsend/srtp_interop_test.go",
	"firmware/rtpsend/srtp_test.go",
	"firmware/rtpsend/transport_test.go",
	"firmware/rtpsend/udp/echo_test.go",
	"scripts/pins",
	"scripts/setup",
	"scripts/test-steps",
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

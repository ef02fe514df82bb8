package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/control"
)

// apiExamples are the lines of shell in docs/api.md.
func apiExamples(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.FromSlash("../../../docs/api.md"))
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	for _, block := range regexp.MustCompile("(?ms)^```\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		examples = append(examples, block[1])
	}
	return examples
}

// What the page tells an owner to type works, shows the right fingerprint, and gives the password to no
// other board.
func TestExamplesOfTheAPIsPageWork(t *testing.T) {
	need.Tools(t, "curl", "openssl", "sh")
	b, stranger := newTestBoard(t, nil), newTestBoard(t, nil)
	examples := apiExamples(t)
	script := strings.Join(examples, "")
	if !strings.Contains(script, "HOST=krazycam-ABCDEF") || strings.Count(script, "curl ") != 2 {
		t.Fatalf("docs/api.md has other examples than this test knows:\n%s", script)
	}
	if n := strings.Count(script, "curl --insecure --pinnedpubkey $PIN "); n != 2 {
		t.Errorf("%d of 2 examples with curl know the board by its key:\n%s", n, script)
	}
	_, port, _ := strings.Cut(b.address, ":")
	v2 := newBuild(t, b.by, 2)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "krazycam-v2-rpi.update"), v2.bundle(t), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(script string) (string, error) {
		cmd := exec.Command("sh", "-e", "-c", script)
		cmd.Dir = dir
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		return string(out), err
	}
	script = strings.NewReplacer("HOST=krazycam-ABCDEF", "HOST=127.0.0.1", ":443", ":"+port,
		"https://$HOST/", "https://$HOST:"+port+"/", "--user admin", "--silent --show-error --user admin:'"+sesame+"'").
		Replace(script)
	out, err := run(script)
	shown := strings.ToLower(strings.ReplaceAll(out, ":", ""))
	if err != nil || !strings.Contains(shown, "fingerprint="+b.fingerprint) ||
		!strings.Contains(out, `"whole":true`) || !strings.Contains(out, `"version":"v2"`) {
		t.Errorf("the examples: %v\n%s", err, out)
	}
	b.wants(control.AskApply)
	// Another board in its place, which has the same password, gets no question.
	_, other, _ := strings.Cut(stranger.address, ":")
	lines := strings.SplitAfter(script, "\n")
	first := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "curl ") })
	pin := strings.Join(lines[:first], "")
	out, err = run(pin + strings.ReplaceAll(lines[first], ":"+port, ":"+other))
	if err == nil || strings.Contains(out, "serial") {
		t.Errorf("asked at another board: %v\n%s", err, out)
	}
	if want := fmt.Sprintf("exit status %d", curlPinMismatch); err != nil && err.Error() != want {
		t.Errorf("asked at another board: %v, want %s", err, want)
	}
}

// curlPinMismatch is CURLE_SSL_PINNEDPUBKEYNOTMATCH, from libcurl-errors(3).
const curlPinMismatch = 90

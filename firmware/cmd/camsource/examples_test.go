// The examples of camsource in documentation and scripts: each must be a right command line.

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// blockExample is a line of a block of code, or of a script.
	blockExample = regexp.MustCompile(`(?:^\s*|/)camsource"? ((?:--|bench|cameras|version|completion).*)`)
	// spanExample is within a sentence. A log line has a word in capitals: camsource READY.
	spanExample = regexp.MustCompile("`camsource ([-a-z][^`]*)`")
)

// examples lists the arguments of camsource in a text.
func examples(text string, script bool) (all []string) {
	block := script
	text = strings.ReplaceAll(text, "\\\n", " ") // a command of several lines
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "```") {
			block = !block
			continue
		}
		if m := blockExample.FindStringSubmatch(line); block && m != nil {
			all = append(all, m[1])
		}
		if !block {
			for _, m := range spanExample.FindAllStringSubmatch(line, -1) {
				all = append(all, m[1])
			}
		}
	}
	return all
}

// placeholders are what a reader or a shell would put in.
var placeholders = strings.NewReplacer(
	"--rtp …", "--rtp 192.0.2.1:5004", "--rtcp …", "--rtcp 192.0.2.1:5005", "$size", "640x480", "$format", "YUYV",
	`"${clip[$1]}"`, "clip.y4m", `"$input"`, "clip.y4m", `"$1"`, "clip.y4m", "$((port + 1))", "5005", "$port", "5004",
	`"`, "",
)

// notOurs is a comment, or another command behind ours.
var notOurs = regexp.MustCompile(`(\s#|[|&>;]|\s2>).*`)

// checkCommandLine parses arguments and runs nothing.
func checkCommandLine(args []string) error {
	root := newRootCommand(nil)
	cmd, rest, err := root.Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

func TestExamplesAreRightCommandLines(t *testing.T) {
	const top = "../../../"
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "scripts/*"} {
		found, err := filepath.Glob(top + pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	with := map[string]int{} // examples, by file
	for _, file := range files {
		text, err := os.ReadFile(file)
		if info, statErr := os.Stat(file); statErr == nil && info.IsDir() || filepath.Base(file) == "CHANGELOG.md" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(file, top)
		for _, line := range examples(string(text), filepath.Ext(file) != ".md") {
			with[name]++
			args := strings.Fields(placeholders.Replace(notOurs.ReplaceAllString(line, "")))
			if err := checkCommandLine(args); err != nil {
				t.Errorf("%s: camsource %s: %v", name, line, err)
			}
		}
	}
	for _, name := range []string{"docs/receivers.md", "docs/configuration.md", "scripts/bench-contenders"} {
		if with[name] == 0 {
			t.Errorf("no example found in %s, but in %v", name, with)
		}
	}
}
